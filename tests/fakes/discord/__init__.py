"""A scripted Discord: one guild, its REST API (v10) and its gateway, over real sockets.

`server.py` is the one to start with. What validates it: two independent client libraries,
unmodified, play one scenario on it (tests/integration/test_fake_discord.py).
"""
