"""Scripted servers, for what no real server can be made to do."""
