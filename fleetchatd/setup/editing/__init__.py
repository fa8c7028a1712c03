"""Changing the connector block of a roster, and not a byte around it (docs/adr/0040)."""
