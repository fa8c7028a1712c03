"""Matrix: the client-server API over HTTPS, so that any homeserver will do.

The connector stands in connector.py and is not imported here: whoever checks a roster loads
settings.py, which must not cost aiohttp.
"""
