"""What a run wrote, put together frame by frame, for other programs."""
