"""Files that i-PI writes."""
