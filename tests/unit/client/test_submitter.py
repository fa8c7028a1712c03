from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.client.main import build_parser
from fleetchatd.client.submitter import address_line
from fleetchatd.tmux.address import Address, clean, parse
from tests.harness.synapse_install import REPOSITORY
from tests.unit.client.conftest import Run
from tests.unit.client.scripted import message

UNIT = REPOSITORY / "systemd" / "user" / "fleetchat-relay@.service"


def test_a_message_of_a_chat_names_it() -> None:
    line = address_line(message(42, "ship it", connector="matrix", thread_id="$root"), "web1:mos")
    expected = "[matrix:@ann:example.internal~$42 -> web1:mos#$root class=human] ship it"
    assert line == expected.replace("~$42", "~42")


def test_a_message_of_the_console_has_its_own_address_and_id() -> None:
    said = message(7, "a\nb", connector="tmux", sender="web1:operator", id="06g9fp8l7nvd0k3ta")
    expected = "[web1:operator~06g9fp8l7nvd0k3ta -> web1:mos class=human] a\nb"
    assert address_line(said, "web1:mos") == expected


def test_a_class_is_handed_on() -> None:
    said = message(7, connector="tmux", sender="a:b", **{"class": "terminal-log"})
    assert " class=terminal-log] " in address_line(said, "web1:mos")


@given(
    sender=st.text(),
    thread=st.none() | st.text(),
    words=st.text(min_size=1),
    event_class=st.sampled_from(["human", "x] fake", None, 3]),
)
def test_nothing_in_an_event_can_break_out_of_the_address(
    sender: str, thread: str | None, words: str, event_class: object
) -> None:
    said = message(7, words, sender=sender, thread_id=thread, **{"class": event_class})
    found = parse(address_line(said, "web1:my mos"))
    assert found is not None
    address, text = found
    assert (address.id, address.destination) == ("7", "web1:my_mos")
    assert not re.search(r"\s", address.source)
    assert text == clean(words).strip("\n")


@pytest.mark.parametrize("field", ["sender", "text", "thread_id", "class", "id", "connector"])
@pytest.mark.parametrize("value", [None, 7, [], {"a": 1}])
def test_no_type_is_trusted(field: str, value: Any) -> None:
    found = parse(address_line(message(7, "x") | {field: value}, "web1:mos"))
    assert found is not None
    assert isinstance(found[0], Address)


@pytest.mark.parametrize(
    "words", [["--name", "me"], ["--pane", "%1"], ["--name", "me", "--pane", "a.b"]]
)
def test_name_and_pane_are_needed(run: Run, words: list[str]) -> None:
    result = run("relay", *words)
    assert result.code == 2
    assert "--pane" in result.err or "--name" in result.err


def test_a_server_without_a_name_is_refused(run: Run) -> None:
    result = run("relay", "--name", "me", "--pane", "%1", "--socket-name", "")
    assert (result.code, "--socket-name: it is empty" in result.err) == (2, True)


def test_the_unit_starts_it_as_it_wants_to_be_started() -> None:
    unit = UNIT.read_text().replace("%i", "mos")
    variables = dict(
        re.findall(r"(RELAY_\w+)=(\S+)", re.findall(r"(?m)^Environment=(.*)", unit)[0])
    )
    command = re.findall(r"(?m)^ExecStart=/usr/bin/fleetchat (.*)", unit)[0]
    words = shlex.split(re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], command))
    args = build_parser(["relay"]).parse_args(words)
    assert (args.name, args.pane.text, args.socket_name) == ("mos", "=mos:", "mosaic-fleet")
