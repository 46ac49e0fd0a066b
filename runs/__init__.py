"""What i-PI reads and writes."""
