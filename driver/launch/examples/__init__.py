"""The shipped inputs as examples: what each is, copies of them, and what a copy may be changed in."""
