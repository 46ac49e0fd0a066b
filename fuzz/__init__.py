"""Damaged messages and files, made by the thousand, to find what a user could bring and nobody thought of."""
