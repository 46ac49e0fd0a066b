"""What a model's metadata tell of the structures that it was fitted to, and how far others are from them."""
