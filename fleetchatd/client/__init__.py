"""The `fleetchat` command. It talks to the daemon over its socket and imports nothing of it.

A command's start is what its user waits for, so each module imports only what its own commands
need, and nothing outside the standard library (completion.py alone takes shtab).
"""
