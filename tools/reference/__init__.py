"""Writes what the reference takes from the code; see __main__.py."""
