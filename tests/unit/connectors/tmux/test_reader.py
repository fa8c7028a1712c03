from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fleetchatd.connectors.tmux.reader import Line, Look, look_command, parse_look, read

MOS = "web1:mos"
PANE = "%3"


def said(text: str, *, key: str = "", tag: str = "", cls: str = "", to: str = MOS) -> str:
    """An address line."""
    event_class = f" class={cls}" if cls else ""
    return f"[web1:bot{key and '~'}{key} -> {to}{tag and '#'}{tag}{event_class}] {text}"


class Reader:
    """Looks at screens one after the other, and keeps what was read."""

    def __init__(self) -> None:
        self.position: str | None = None
        self._again = False
        self.lines: list[Line] = []

    def look(
        self, *lines: str, row: str = "", streaming: bool = False, pane: str = PANE
    ) -> list[str]:
        """The texts that this look brings."""
        reading = read(self.position, Look(pane, lines, row, streaming), MOS)
        self.position, self._again = reading.position, reading.again
        self.lines += reading.lines
        return [line.text for line in reading.lines]

    def wants_more(self) -> bool:
        """Whether it asked for another look."""
        return self._again


@pytest.fixture
def reader() -> Reader:
    """One that has seen an empty screen."""
    made = Reader()
    assert made.look("") == []
    return made


def test_a_line_is_taken_apart(reader: Reader) -> None:
    reader.look(said("ship  [it] -> now]", key="k3", tag="deploy", cls="terminal-log"), "")
    assert reader.lines == [
        Line("web1:bot", "ship  [it] -> now]", "terminal-log", id="k3", tag="deploy")
    ]


@pytest.mark.parametrize(
    ("shown", "read_as"),
    [("", "actionable"), ("human", "actionable"), ("reaction", "reaction")],
)
def test_nothing_on_a_screen_is_a_humans(reader: Reader, shown: str, read_as: str) -> None:
    reader.look(said("x", cls=shown), "")
    assert [line.event_class for line in reader.lines] == [read_as]


@pytest.mark.parametrize(
    "line",
    [
        said("for another", to="web1:mosaic"),
        said("for another", to="web1:mo"),
        f"[{MOS}~k -> web1:operator] our own",
        f"[{MOS} -> {MOS}] our own",
        f"  {said('indented')}",
        f"> {said('typed at a prompt')}",
        f"[web1:bot -> {MOS}]",
        f"[web1:bot -> {MOS} class=urgent] of no class",
    ],
)
def test_what_is_not_said_to_us_is_left_out(reader: Reader, line: str) -> None:
    assert reader.look(line, "") == []


def test_what_was_there_before_is_not_delivered() -> None:
    reader = Reader()
    assert reader.look(said("old"), said("old too", key="a"), "$", row="$") == []
    assert reader.look(said("old"), said("old too", key="a"), said("new"), "$", row="$") == ["new"]


def test_another_pane_is_another_beginning(reader: Reader) -> None:
    assert reader.look(said("there"), pane="%4") == []
    assert reader.look(said("there"), said("new"), pane="%4") == ["new"]


@pytest.mark.parametrize("position", ["", "x", "[]", "{}", '{"pane":"%3","more":1}'])
def test_a_position_that_is_not_ours_is_a_beginning(position: str) -> None:
    assert read(position, Look(PANE, [said("old")]), MOS).lines == []


def test_a_line_that_still_grows_waits_for_its_end(reader: Reader) -> None:
    assert reader.look(said("shi"), row=said("shi")) == []
    assert reader.look(said("ship it"), row="hip it") == []
    assert reader.look(said("ship it"), "") == ["ship it"]


def test_where_a_program_draws_as_it_likes_a_line_is_read_once_it_stands_still(
    reader: Reader,
) -> None:
    frame = ("│ > │", "status")
    assert reader.look(said("shi"), *frame, row="│ > │", streaming=True) == []
    assert reader.wants_more()
    assert reader.look(said("ship it"), *frame, row="│ > │", streaming=True) == []
    assert reader.look(said("ship it"), *frame, row="│ > │", streaming=True) == ["ship it"]
    assert not reader.wants_more()
    assert reader.look(said("ship it"), said("b"), *frame, row="│ > │", streaming=True) == []
    assert reader.look(said("ship it"), said("b"), *frame, row="│ > │", streaming=True) == ["b"]


def test_an_id_is_read_once_wherever_it_appears(reader: Reader) -> None:
    assert reader.look(said("a", key="1"), said("a", key="1")) == ["a"]
    assert reader.look(said("a", key="1"), "x", said("a", key="1"), said("b", key="2")) == ["b"]
    assert reader.look(*[said("b", key="2"), said("a", key="1"), "anew"] * 2) == []
    assert reader.look("x", f"[web1:other~1 -> {MOS}] c") == ["c"]


def test_what_a_terminal_echoes_and_the_program_copies_is_said_once(reader: Reader) -> None:
    x, y = said("x"), said("y")
    assert reader.look(x) == ["x"]
    assert reader.look(x, x) == []
    assert reader.look(x, x, x) == ["x"]
    assert reader.look(x, x, x, x) == []
    assert reader.look(x, x, x, x, x, y, x, y) == ["x", "y"]


def test_what_is_said_again_later_is_said_again(reader: Reader) -> None:
    assert reader.look(said("x"), "done", said("x"), "done") == ["x", "x"]


def test_a_prompt_that_is_drawn_anew_changes_nothing(reader: Reader) -> None:
    assert reader.look(said("a"), "> ", "status 1") == ["a"]
    assert reader.look(said("a"), "> draft", "status 2") == []
    assert reader.look(said("a"), said("b"), "> draft", "status 3") == ["b"]


def test_the_same_words_stay_apart_by_where_they_stand(reader: Reader) -> None:
    """Many equal lines: only how many there were tells which are new."""
    lines = [said("ping"), "pong"] * 50
    assert reader.look(*lines) == ["ping"] * 50
    assert reader.look(*lines, said("ping"), "pong") == ["ping"]


def test_a_history_that_was_trimmed_is_followed(reader: Reader) -> None:
    lines = [f"line {number}" for number in range(100)]
    reader.look(*lines, said("a"))
    assert reader.look(*lines[90:], said("a"), "then", said("a")) == ["a"]
    assert reader.look("then", said("a"), said("b")) == ["b"]


def test_a_screen_that_was_cleared_is_all_new(reader: Reader) -> None:
    assert reader.look("x", said("a")) == ["a"]
    assert reader.look(said("b")) == ["b"]


def test_a_screen_drawn_anew_brings_nothing_twice(reader: Reader) -> None:
    assert reader.look("top", said("a"), "mid", said("b")) == ["a", "b"]
    again = ("another top", said("a"), "another mid", said("b"))
    assert reader.look(*again, said("c")) == ["c"]


def test_what_is_remembered_has_an_end(reader: Reader) -> None:
    for start in range(0, 2000, 500):
        lines = (said(str(number), key=str(number)) for number in range(start, start + 500))
        reader.look(*lines, *(said(f"{start} {number}") for number in range(300)))
    assert reader.position is not None
    assert len(reader.position) < 8000


def test_tmux_is_asked_in_one_command_and_understood() -> None:
    assert "\n" not in look_command(PANE)
    answer = ["3 1", "wrapped li", "> x", "status", "old", "wrapped line", "> x", "status"]
    assert parse_look(PANE, answer) == Look(
        PANE, ["old", "wrapped line", "> x", "status"], cursor_row="> x", streaming=True
    )
    below = parse_look(PANE, ["2 1", "x", "", "x", ""])
    assert below is not None
    assert not below.streaming
    assert parse_look(PANE, [" ", ""]) is None
    assert parse_look(PANE, []) is None


class Screen(RuleBasedStateMachine):
    """A screen with a history, and a program that talks there.

    Everything said is said once, whatever happens to the screen between two looks, as long as it
    was still there at the next one. Texts without an id are all different here: whether the same
    one is there again is what cannot always be told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.prompt: list[str] = []
        self.reader = Reader()
        self.expected: list[str] = []
        self.count = 0

    @initialize(before=st.lists(st.sampled_from(["a", "b", said("old"), said("o", key="old")])))
    def begin(self, before: list[str]) -> None:
        self.shown += before
        self.reader.look(*self.shown)

    @rule(lines=st.lists(st.sampled_from(["a", "b", "", "$"]), max_size=6))
    def print_lines(self, lines: list[str]) -> None:
        self.shown += lines

    @rule(with_id=st.booleans(), copied=st.booleans())
    def say(self, with_id: bool, copied: bool) -> None:
        self.count += 1
        line = said(f"text {self.count}", key=str(self.count) if with_id else "")
        self.shown += [line] * (1 + copied)
        self.expected.append(f"text {self.count}")

    @rule(prompt=st.lists(st.sampled_from(["> ", "> draft", "status", "busy"]), max_size=3))
    def draw_prompt(self, prompt: list[str]) -> None:
        self.prompt = prompt

    @rule()
    def look(self) -> None:
        self.reader.look(*self.shown, *self.prompt)
        assert [line.text for line in self.reader.lines] == self.expected

    @rule(part=st.floats(0, 1))
    def trim(self, part: float) -> None:
        self.look()
        del self.shown[: int(len(self.shown) * part)]

    @rule()
    def clear(self) -> None:
        self.look()
        self.shown.clear()

    @rule()
    def show_an_id_again(self) -> None:
        old = [line for line in self.shown if "~" in line][-100:]
        self.shown += old[:1]


TestScreen = Screen.TestCase
TestScreen.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


@given(
    st.lists(st.sampled_from(["a", "b", "  ", said("x"), said("y", key="1")]), max_size=30),
    st.lists(st.sampled_from(["a", "b", "  ", said("x"), said("y", key="1")]), max_size=30),
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_second_look_at_the_same_brings_nothing(first: list[str], second: list[str]) -> None:
    reader = Reader()
    reader.look(*first)
    reader.look(*second)
    assert reader.look(*second) == []


@given(st.text(), st.text(), st.binary())
def test_nothing_that_is_shown_breaks_it(line: str, row: str, position: bytes) -> None:
    assume("\n" not in line)
    read(json.dumps(position.hex()), Look(PANE, [line, said("x")], row), MOS)
