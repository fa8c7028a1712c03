"""What is heard from a daemon in whose chat every message is answered by repeating it."""

from __future__ import annotations

from typing import Any

from tests.harness.daemon import Daemon


async def hear(daemon: Daemon, *texts: str) -> None:
    """Have these said in the chat, one after the other; they are in the journal on return."""
    async with daemon.api.events(types="message") as stream:
        for text in texts:
            await daemon.api.send(text)
            assert (await stream.next())["text"] == text


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events]


async def pending(daemon: Daemon, **query: object) -> list[str]:
    return texts(await daemon.api.pending(types="message", **query))
