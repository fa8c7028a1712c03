"""How the daemon is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fleetchatd.client import output
from fleetchatd.client.errors import RefusedError
from fleetchatd.client.http import Client

_EXIT_CODES = {"ok": 0, "degraded": 1, "down": 3}


def health_arguments(parser: ArgumentParser) -> None:
    """`health` takes nothing of its own."""


def health(args: Namespace) -> int:
    """Print the health; the exit code says the status (contract §4)."""
    try:
        answer = Client(args.socket).ask("GET", "/v1/health", accept=(503,))
    except RefusedError as refusal:
        if refusal.status != 503:
            raise
        output.note(str(refusal))  # systemd holds the socket of a daemon that cannot run
        return _EXIT_CODES["down"]
    found = answer.json()
    if args.json:
        output.write_json(answer.text)
    else:
        from fleetchatd.client.looks import health_page

        output.write(health_page(found))
    return _EXIT_CODES.get(str(found.get("status")), 1)
