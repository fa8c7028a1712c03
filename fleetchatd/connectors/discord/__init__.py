"""The Discord connector: one channel and its threads, as one bot.

Needs the extra `fleetchatd[discord]`. The library behind it (discord.py) is known to `rest.py` and
`gateway.py` alone.
"""
