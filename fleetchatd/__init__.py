"""fleetchatd: carries the conversation between a fleet of AI agents and its operator."""

__version__ = "0.1.0"
