"""From labelled frames to a model, its members and its errors."""
