"""What a fit or a loop does, told to programs while it happens."""
