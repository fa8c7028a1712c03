"""The Discord connector."""
