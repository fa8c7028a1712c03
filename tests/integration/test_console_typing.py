"""What a person types into the console, in a real tmux; its daemon is played by hand."""

from __future__ import annotations

import pytest

from fleetchatd.client.console.prompt import SIGN
from tests.harness.console import LOOK_ALIKE, NASTY, PROMPT, Stage
from tests.harness.tmux import Tmux
from tests.harness.waiting import eventually


def last_lines(shown: str, count: int) -> list[str]:
    return shown.rstrip().splitlines()[-count:]


async def test_what_is_entered_is_kept_and_then_shown_behind_its_address(stage: Stage) -> None:
    pane = await stage.open()
    await pane.submit("ship it")
    (said,) = await stage.submitted(1)
    assert (said.text, said.thread_id) == ("ship it", None)
    await pane.shows(f"\n[web1:operator~{said.id} -> web1:mos] ship it\n")


@pytest.mark.parametrize("columns", [40, 200])
async def test_any_text_reaches_the_spool_as_it_was_typed(stage: Stage, columns: int) -> None:
    pane = await stage.open(columns)
    for text in NASTY:
        if "\n" in text:
            await pane.paste(text, bracketed=True)
            await pane.keys("Enter")
        else:
            await pane.submit(text)
        assert await stage.heard() == [text]


async def test_two_hundred_fast_lines_are_two_hundred_messages(stage: Stage) -> None:
    pane = await stage.open()
    lines = [f"line {number} of many" for number in range(200)]
    words = [word for line in lines for word in (line, "\r")]
    await pane.tmux.run("send-keys", "-t", pane.id, "-l", "".join(words))
    assert [one.text for one in await stage.submitted(200)] == lines
    shown = await pane.shows("line 199 of many")
    assert [line for line in lines if f"{line}\n" not in shown] == []


async def test_lines_of_a_sender_that_knows_no_enter_are_messages(stage: Stage) -> None:
    pane = await stage.open()
    await pane.paste("one\ntwo\nthree\n")
    assert [one.text for one in await stage.submitted(3)] == ["one", "two", "three"]


async def test_a_persons_paste_stays_one_draft_as_it_is(stage: Stage) -> None:
    pane = await stage.open()
    await pane.type("before ")
    await pane.paste(f"one\n\n  two\n{LOOK_ALIKE}\n", bracketed=True)
    await pane.type("after")
    await pane.keys("M-Enter")
    await pane.submit("end")
    assert await stage.heard() == [f"before one\n\n  two\n{LOOK_ALIKE}\nafter\nend"]


async def test_twenty_kilobytes_are_whole_both_ways(stage: Stage) -> None:
    pane = await stage.open()
    words = " ".join(f"word{number}" for number in range(2500))
    await pane.paste(words, bracketed=True)
    await pane.keys("Enter")
    assert await stage.heard() == [words]
    await stage.say(words)
    shown = await pane.shows("word2499\n")
    assert "".join(words.split()) in "".join(shown.split())


async def test_a_half_typed_line_is_never_disturbed(stage: Stage) -> None:
    pane = await stage.open()
    await pane.type("first line")
    await pane.keys("M-Enter")
    await pane.type("secnd line")
    await pane.keys(*["Left"] * 7)
    await stage.say("Something **else**\n\n- with\n- a list")
    for number in range(5):
        await stage.say(f"message {number}", tag="deploy")
    assert last_lines(await pane.shows(f"message 4\n{SIGN}"), 3)[:2] == [
        f"{SIGN}first line",
        "  secnd line",
    ]
    await pane.type("o")
    await pane.keys("Enter")
    assert await stage.heard() == ["first line\nsecond line"]


async def test_keys_that_end_or_stop_other_programs_do_no_harm(stage: Stage) -> None:
    pane = await stage.open()
    await pane.type("a line")
    await pane.keys("C-z", "C-\\", "C-s", "C-g", "Escape")
    await pane.keys("C-l", "F1", "PageUp", "PageDown", "C-e")
    await pane.submit(" goes on")
    assert await stage.heard() == ["a line goes on"]


async def test_a_line_that_cannot_be_kept_stays_and_is_not_shown_as_sent(stage: Stage) -> None:
    pane = await stage.open()
    inbox, away = stage.spool.folder / "in", stage.spool.folder / "away"
    inbox.rename(away)
    inbox.touch()
    await pane.submit("precious")
    await pane.shows("nothing was sent")
    assert "[web1:" not in await pane.shows(f"{SIGN}precious")
    inbox.unlink()
    away.rename(inbox)
    await pane.keys("Enter")
    assert await stage.heard() == ["precious"]


async def test_a_thread_is_set_shown_and_cleared(stage: Stage) -> None:
    pane = await stage.open()
    await pane.submit("/thread deploy")
    await pane.shows(f"\n#deploy {PROMPT}")
    await pane.submit("in it")
    await pane.submit("/thread")
    await pane.shows("· thread #deploy", times=2)
    await pane.submit("/thread -")
    await pane.submit("//etc is full")
    said = await stage.submitted(2)
    assert [(one.text, one.thread_id) for one in said] == [
        ("in it", "deploy"),
        ("/etc is full", None),
    ]
    await pane.shows("-> web1:mos#deploy] in it")


async def test_commands_and_slips_send_nothing(stage: Stage) -> None:
    pane = await stage.open()
    await pane.submit("/help")
    await pane.shows("Alt-Enter")
    await pane.submit("/hlep")
    await pane.shows("/hlep is no command")
    await pane.submit("   ")
    await pane.type("not this")
    await pane.keys("C-c")
    await pane.submit("but this")
    assert await stage.heard() == ["but this"]
    await pane.keys("C-d")
    await pane.shows("Ctrl-D again leaves")
    await pane.submit("still here")
    assert await stage.heard() == ["still here"]
    await pane.submit("/quit")
    await eventually("the session's end", lambda: gone(stage.tmux))


async def test_history_comes_back_after_a_restart_and_is_private(stage: Stage) -> None:
    pane = await stage.open()
    await pane.submit("find me")
    await pane.submit("not me")
    await stage.heard(2)
    await stage.reopen()
    await pane.keys("C-r")
    await pane.type("find")
    await pane.shows("find me")
    await pane.keys("Enter", "Enter")
    assert await stage.heard() == ["find me"]
    assert (stage.spool.folder / "history").stat().st_mode & 0o777 == 0o600


async def gone(tmux: Tmux) -> bool:
    return not await tmux.is_running()
