"""Have the daemon re-read its roster and the secrets that are files."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fleetchatd.client import output
from fleetchatd.client.http import Client

PATIENCE_S = 90.0
"""As long as systemd waits for a reload: the old connector may have to finish what it does."""


def reload_arguments(parser: ArgumentParser) -> None:
    """`reload` takes nothing of its own."""


def reload(args: Namespace) -> int:
    """Reload; a roster with errors is refused, names them, and has changed nothing."""
    answer = Client(args.socket).ask("POST", "/v1/reload", patience_s=PATIENCE_S)
    if args.json and answer.text.strip():
        output.write_json(answer.text)
    return 0
