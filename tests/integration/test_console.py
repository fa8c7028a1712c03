"""The console in a real tmux, used as a person would; its daemon is played by hand."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from fleetchatd.client.console.prompt import SIGN
from fleetchatd.tmux import badge
from fleetchatd.tmux.marks import Mark
from fleetchatd.tmux.processes import start_time
from tests.harness.console import Stage
from tests.harness.tmux import PROGRAMS, Terminal, Tmux
from tests.harness.waiting import eventually

PROMPT = SIGN.rstrip()  # tmux shows no blanks at the end of a line
LOOK_ALIKE = "[web1:mos~k1 -> web1:operator#deploy class=human] I did not say this"
NASTY = [
    "a\ttab\tor two",
    "👨‍👩‍👧 👍🏽 🇩🇪 ❤️",
    "e\u0301 a\u0308\u0323 n\u0303",
    "שלום עולם, مرحبا",
    "漢字かな交じり文、全角。" * 12,
    "x" * 500,
    LOOK_ALIKE,
    f"look:\n{LOOK_ALIKE}",
    "$HOME ${PATH} $(id) `id`",
    "a; b;",
    "it's \"quoted\" 'twice'",
    "back\\slash \\n \\\\ \\",
    "   three blanks around   ",
    "<b>tags</b> & &amp; &lt;",
    "#{pane_id} %output %end 1 2 3",
    "C-c Enter -l --",
    "one\n\nthree\n    four",
    "~ \u00a0 \u200b | ^ * _ [x]: y",
]


@pytest_asyncio.fixture
async def stage(tmux: Tmux, tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmux, tmp_path)
    try:
        yield made
    finally:
        await made.daemon_leaves()


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


async def test_keys_that_end_or_stop_other_programs_do_no_harm(stage: Stage) -> None:
    pane = await stage.open()
    await pane.type("a line")
    await pane.keys("C-z", "C-\\", "C-s", "C-g", "Escape")
    await pane.keys("C-l", "F1", "PageUp", "PageDown", "C-e")
    await pane.submit(" goes on")
    assert await stage.heard() == ["a line goes on"]


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


async def test_the_console_wears_its_badge_while_it_runs(stage: Stage) -> None:
    pane = await stage.open()
    own = await stage.tmux.session("other")
    await own.submit(" ".join(stage.command))
    other = Stage(stage.tmux, stage.state_dir.parent)
    other.pane = own
    for number in (signal.SIGTERM, signal.SIGHUP):
        await other.ready()
        os.kill(await other.console_pid(), number)
        await eventually("the console left", lambda: was_left(other))
        await own.submit(" ".join(stage.command))
    assert await stage.badge()
    await pane.kill()


async def test_a_console_ends_with_its_pane_and_with_its_server(stage: Stage) -> None:
    await stage.tmux.session("another")
    for end in (Terminal.kill, lambda pane: pane.tmux.kill()):
        pane = await stage.open()
        pid = await stage.console_pid()
        await pane.type("a draft")
        await end(pane)
        await eventually("the console's end", partial(has_ended, pid))


async def test_an_idle_console_uses_no_processor(stage: Stage) -> None:
    await stage.open()
    await stage.daemon_comes()
    await stage.say("hello")
    pid = await stage.console_pid()
    await asyncio.sleep(1)  # prompt_toolkit waits for the rest of a key for half a second
    before = processor_time_ns(pid)
    await asyncio.sleep(2)
    assert processor_time_ns(pid) - before < 2_000_000


@pytest.mark.parametrize(("setting", "unwanted"), [("NO_COLOR=1", "[349]"), ("TERM=dumb", "")])
async def test_who_wants_no_colour_gets_none(stage: Stage, setting: str, unwanted: str) -> None:
    pane = await stage.open(wrapper=["env", setting])
    await pane.submit("hello")
    await stage.say("# Head\n`code` [a](https://b.example) **bold**\n\n> quote")
    await pane.shows("quote")
    plain = {"0", "4", "39", "49"}  # underlined is no colour, and the others are the default's
    found = set(re.findall(r"[\[;](\d+)(?=[;m])", await pane.capture(sgr=True))) - plain
    assert [code for code in found if re.match(unwanted, code)] == []


async def test_a_terminal_that_is_not_the_panes_own_is_refused(stage: Stage) -> None:
    pane = await stage.open()
    other = await stage.tmux.session("other")
    await other.submit(f"TMUX_PANE={pane.id} {' '.join(stage.command)}; echo exit $?")
    await other.shows("this terminal is not the pane's own")
    await other.shows("\nexit 2")


async def test_a_state_directory_that_cannot_be_made_is_named(stage: Stage) -> None:
    pane = await stage.tmux.session("operator")
    await pane.submit("fleetchat console --state-dir /proc/nowhere; echo exit $?")
    await pane.shows("cannot make /proc/nowhere")
    await pane.shows("\nexit 1")


def test_outside_of_tmux_the_console_says_where_to_start_it(tmp_path: Path) -> None:
    program = str(PROGRAMS / "fleetchat")
    command = [program, "console", "--state-dir", str(tmp_path / "state")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "tmux pane" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "state").exists()


async def gone(tmux: Tmux) -> bool:
    return not await tmux.is_running()


async def is_wide(pane: Terminal, columns: int) -> bool:
    return columns_of(await pane.ask("#{pane_tty}")) == columns


def columns_of(terminal: str) -> int:
    with open(terminal) as file:
        return os.get_terminal_size(file.fileno()).columns


async def has_ended(pid: int) -> bool:
    return start_time(pid) is None


async def was_left(stage: Stage) -> bool:
    return await stage.badge() == badge.LEFT


def processor_time_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
