"""`fleetchatd install-units`: systemd's units, for the Python that runs this (contract §7)."""

from fleetchatd.install_units.command import run
from fleetchatd.install_units.files import programs, standings

__all__ = ["programs", "run", "standings"]
