"""i-PI's XML."""
