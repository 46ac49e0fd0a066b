"""The head that charges are made of, from labels of charges and dipoles; and labels without what charges give."""
