"""A run that is looked at while it goes on, from its files alone: in a browser, and in a terminal."""
