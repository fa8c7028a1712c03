"""What is typed into another program, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from fleetchatd.connectors.tmux.console_pane import Confirmations
from fleetchatd.connectors.tmux.outgoing import UNREAD_PAUSES_S, Outgoing
from fleetchatd.connectors.tmux.situation import situation
from fleetchatd.connectors.tmux.watch import Watch
from fleetchatd.errors import SendDeferred, SendRefused
from fleetchatd.model import Draft, Message, OutboundPart
from fleetchatd.tmux import submission
from fleetchatd.tmux.spool import Names, Spool
from tests.unit.tmux.test_panes import PLAIN


class Connection:
    """A pane that runs a program."""

    pane, client, activity = PLAIN, None, None

    async def look(self) -> None:
        """It is as it was."""


@pytest.fixture
def outgoing(tmp_path: Path) -> Outgoing:
    spool = Spool(tmp_path)
    return Outgoing(
        Names("web1:operator", "web1:mos"),
        spool,
        Confirmations(spool),
        lambda: cast("Watch", Connection()),
        lambda watch: situation(watch.pane, None),
    )


def part(message_id: str) -> OutboundPart:
    message = Message(
        id=message_id,
        order=1,
        time="2026-11-23T09:00:00.000Z",
        draft=Draft("ship it"),
        target="tmux",
        parts=("ship it",),
    )
    return OutboundPart(message, 0)


async def test_what_a_program_never_reads_is_typed_ever_more_rarely_and_fails_in_the_end(
    outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def left_unread(*_: Any) -> None:
        raise submission.Unread("it was taken back")

    monkeypatch.setattr(submission, "submit", left_unread)
    pauses = []
    for _ in UNREAD_PAUSES_S:
        with pytest.raises(SendDeferred, match="taken back") as deferral:
            await outgoing.send(part("m1"))
        pauses.append(deferral.value.retry_after_s)
    with pytest.raises(SendRefused, match="taken back"):
        await outgoing.send(part("m1"))
    assert tuple(pauses) == UNREAD_PAUSES_S
    with pytest.raises(SendDeferred):  # each message has its own chances
        await outgoing.send(part("m2"))
