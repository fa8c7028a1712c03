"""The paste that brings a message to the console."""

from __future__ import annotations

from typing import cast

import pytest

from fleetchatd.connectors.tmux.console_pane import NotThere, Paster
from fleetchatd.tmux.address import Address
from fleetchatd.tmux.control import ControlClient
from tests.unit.tmux.test_panes import CONSOLE

ADDRESS = Address("web1:mos", "web1:operator", "m1")


class Client:
    """A control connection that notes what it is asked for."""

    def __init__(self, flags: str = "dpr", answer: str = "") -> None:
        self.asked: list[str] = []
        self._flags = flags
        self._answer = answer

    async def flags_of(self, command: str) -> str:
        assert command == "paste-buffer"
        return self._flags

    async def run(self, command: str) -> list[str]:
        self.asked.append(command)
        return [self._answer] if self._answer else []


async def paste(paster: Paster, client: Client) -> None:
    await paster.paste(cast("ControlClient", client), CONSOLE, ADDRESS, "two\nlines")


@pytest.mark.parametrize(("flags", "given"), [("dpr", "-d -r -b"), ("dprS", "-d -r -S -b")])
async def test_the_brackets_reach_the_console_in_every_tmux(flags: str, given: str) -> None:
    client = Client(flags)
    await paste(Paster(lambda: 0.0), client)
    assert f"paste-buffer {given} fleetchat-m1 -t %3" in client.asked[0]


async def test_no_paste_holds_an_enter() -> None:
    client = Client()
    await paste(Paster(lambda: 0.0), client)
    assert r"\e[200~[web1:mos~m1 -> web1:operator] two" in client.asked[0]
    assert "two\x1elines" in client.asked[0]
    assert r"\r" not in client.asked[0]
    assert r"\n" not in client.asked[0]


async def test_a_paste_that_is_not_confirmed_is_repeated_after_a_while() -> None:
    now = 0.0
    paster, client = Paster(lambda: now), Client()
    await paste(paster, client)
    now = 20.0
    await paste(paster, client)
    assert len(client.asked) == 1
    now = 40.0
    await paste(paster, client)
    assert len(client.asked) == 2


async def test_a_console_that_has_just_ended_gets_none() -> None:
    paster = Paster(lambda: 0.0)
    with pytest.raises(NotThere):
        await paste(paster, Client(answer="gone"))
    client = Client()
    await paste(paster, client)
    assert client.asked
