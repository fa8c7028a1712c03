"""The `fleetchat` command. It talks to the daemon over its socket and imports nothing of it.

A command's start is what its user waits for, so each module imports only what its own commands
need. Nothing outside the standard library is taken but by `completion` (shtab) and by the console.
"""
