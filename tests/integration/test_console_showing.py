"""What the console shows a person, in a real tmux; its daemon is played by hand."""

from __future__ import annotations

import os
import re
from functools import partial

import pytest

from fleetchatd.client.console.prompt import SIGN
from fleetchatd.tmux.marks import Mark
from tests.harness.console import NASTY, PROMPT, Stage
from tests.harness.tmux import Terminal
from tests.harness.waiting import eventually


@pytest.mark.parametrize("columns", [40, 200])
async def test_any_text_is_shown_whole_and_never_at_the_first_column(
    stage: Stage, columns: int
) -> None:
    pane = await stage.open(columns, lines=50)
    for text in NASTY:
        for event_class in (None, "terminal-log"):
            await stage.say(text, event_class=event_class)
            rows = (await pane.capture(joined=False)).split(PROMPT)[0].splitlines()
            header = max(at for at, row in enumerate(rows) if row.endswith(" mos"))
            body = [row for row in rows[header + 1 :] if row]
            assert body
            assert [row for row in body if not row.startswith("  ")] == []
            if event_class is not None:
                # What tmux cuts off or adds at the end of a row is blank.
                assert "".join("".join(body).split()) == "".join(text.split())


async def test_control_characters_are_stripped_both_ways(stage: Stage) -> None:
    pane = await stage.open()
    await pane.paste("\x1b[200~a\x1b[31mb\x07c\x9bd\x1b[201~")
    await pane.keys("Enter")
    assert await stage.heard() == ["a[31mbcd"]
    await stage.say("e\x07f\x08g\x1b[31mh")
    await pane.shows("\n  efg[31mh")


async def test_a_message_shows_time_speaker_thread_and_readable_markdown(stage: Stage) -> None:
    pane = await stage.open(60)
    await stage.say("# Done\nThe build is **green**:\n`make test`\n- <b>a</b>\n- b", tag="deploy")
    shown = await pane.shows(f"b\n{PROMPT}")
    assert re.search(r"(?m)^\d\d:\d\d mos #deploy$", shown)
    body = [line for line in shown.splitlines() if line.startswith("  ")]
    assert [line.strip() for line in body] == [
        "Done",
        "The build is green:",
        "`make test`",
        "• <b>a</b>",
        "• b",
    ]


async def test_a_message_that_was_shown_is_never_shown_again(stage: Stage) -> None:
    pane = await stage.open()
    message = await stage.say("only once")
    await stage.paste("only once", message)
    await stage.say("the next")
    assert (await pane.shows("the next")).count("only once") == 1
    await stage.kill()
    await stage.reopen()
    await stage.paste("only once", message)
    await stage.say("after the kill")
    assert "only once" not in await pane.shows("after the kill")


async def test_a_message_that_cannot_be_confirmed_is_shown_once_and_confirmed_later(
    stage: Stage,
) -> None:
    pane = await stage.open(200)
    acks, away = stage.spool.folder / "ack", stage.spool.folder / "away"
    acks.rename(away)
    acks.touch()
    for _ in range(2):
        await stage.paste("seen", "k1")
    await pane.shows("the daemon does not know that you have seen this")
    acks.unlink()
    away.rename(acks)
    await stage.paste("seen", "k1")
    await stage.confirmed("k1")
    assert (await pane.capture()).count("\n  seen\n") == 1


async def test_another_programs_paste_is_shown_and_its_enter_is_swallowed(stage: Stage) -> None:
    pane = await stage.open()
    await pane.type("half")
    await stage.paste("look here", None)
    await pane.keys("Enter")
    await pane.shows(f"\n  look here\n{SIGN}half")
    await pane.submit(" typed")
    assert await stage.heard() == ["half typed"]


async def test_marks_say_in_words_how_far_the_latest_line_has_come(stage: Stage) -> None:
    pane = await stage.open()
    await pane.shows("fleetchatd is away; what you send is kept, and goes out when it is back")
    await pane.submit("one")
    (one,) = await stage.submitted(1)
    await pane.shows("\n… waiting for fleetchatd (1)")
    stage.spool.take(one.id)
    await stage.daemon_comes()
    await pane.shows("fleetchatd is back")
    await pane.shows("\n✓ kept")
    await pane.submit("two")
    two = (await stage.submitted(1))[0]
    await pane.shows("\n… on its way")
    stage.mark(Mark("kept", two.id))
    await pane.shows("\n✓ kept")
    stage.mark(Mark("taken", two.id))
    await pane.shows("\n✓✓ taken by mos")
    await stage.daemon_leaves()
    await pane.until(
        "when it went", lambda shown: bool(re.search(r"is away since \d\d:\d\d; what", shown))
    )


async def test_the_prompt_leaves_no_litter_when_the_pane_is_resized(stage: Stage) -> None:
    pane = await stage.open(100)
    # In a pane that is not full, tmux keeps the lines that wrap as history, out of reach.
    await stage.say("line\n" * 30)
    draft = "a draft that is rather long, " * 4 + "and ends here"
    await pane.type(draft)
    for columns, lines in ((40, 24), (200, 24), (30, 24), (90, 10)):
        await pane.resize(columns, lines)
        # For a moment, nobody but tmux knows.
        await eventually("the terminal resized", partial(is_wide, pane, columns))
        await stage.say(f"at {columns} columns")
    shown = await pane.until("the draft", lambda shown: "ends here" in shown)
    assert shown.count(PROMPT) == 1
    assert shown.count("waiting for fleetchatd") == 1
    await pane.keys("Enter")
    assert await stage.heard() == [draft]


async def test_copy_mode_holds_up_neither_messages_nor_the_draft(stage: Stage) -> None:
    pane = await stage.open()
    await pane.type("draft")
    await stage.tmux.run("copy-mode", "-t", pane.id)
    await stage.say("while you look around")
    await pane.keys("q")
    await pane.shows(f"\n  while you look around\n{SIGN}draft")
    await pane.keys("Enter")
    assert await stage.heard() == ["draft"]


async def test_a_burst_of_five_hundred_is_shown_in_seconds(stage: Stage) -> None:
    pane = await stage.open()
    ids = [f"b{number}" for number in range(500)]
    pastes = (
        f"\x1b[200~[web1:mos~{one} -> web1:operator] burst *{one}* here\x1b[201~" for one in ids
    )
    await pane.paste("".join(pastes))
    await stage.confirmed(ids[-1], timeout_s=60)
    assert [one for one in ids if not stage.spool.acknowledged(one)] == []
    shown = await pane.shows("burst b499 here")
    assert re.findall(r"burst (b\d+) here", shown) == ids


@pytest.mark.parametrize(("setting", "unwanted"), [("NO_COLOR=1", "[349]"), ("TERM=dumb", "")])
async def test_who_wants_no_colour_gets_none(stage: Stage, setting: str, unwanted: str) -> None:
    pane = await stage.open(wrapper=["env", setting])
    await pane.submit("hello")
    await stage.say("# Head\n`code` [a](https://b.example) **bold**\n\n> quote")
    await pane.shows("quote")
    plain = {"0", "4", "39", "49"}  # underlined is no colour, and the others are the default's
    found = set(re.findall(r"[\[;](\d+)(?=[;m])", await pane.capture(sgr=True))) - plain
    assert [code for code in found if re.match(unwanted, code)] == []


async def is_wide(pane: Terminal, columns: int) -> bool:
    return columns_of(await pane.ask("#{pane_tty}")) == columns


def columns_of(terminal: str) -> int:
    with open(terminal) as file:
        return os.get_terminal_size(file.fileno()).columns
