"""The Unix-socket server: one table of routes (routes.py), then one short file a noun."""
