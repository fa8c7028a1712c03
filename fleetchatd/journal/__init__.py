"""The one durable thing: an interface (base.py) and the engine behind it (sqlite.py)."""
