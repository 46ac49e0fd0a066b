"""What carries bytes between i-PI and an evaluator."""
