"""How the daemon is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fleetchatd.client import output
from fleetchatd.client.http import Client

_EXIT_CODES = {"ok": 0, "degraded": 1, "down": 3}


def health_arguments(parser: ArgumentParser) -> None:
    """`health` takes nothing of its own."""


def health(args: Namespace) -> int:
    """Print the health; the exit code says the status (contract §4)."""
    answer = Client(args.socket).ask("GET", "/v1/health", accept=(503,))
    found = answer.json()
    if args.json:
        output.write_json(answer.text)
    else:
        from fleetchatd.client.looks import health_page

        output.write(health_page(found))
    return _EXIT_CODES.get(str(found.get("status")), 1)
