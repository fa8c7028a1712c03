"""Editing generated rosters. Each is made of three pieces, so that what is outside is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetchatd.errors import ConfigError
from fleetchatd.roster import parse_roster
from fleetchatd.roster_text import read_text
from fleetchatd.setup.editing.connector import with_connector

FIRST: dict[str, dict[str, Any]] = {
    "tmux": {"session": "operator"},
    "matrix": {
        "homeserver_url": "https://m.example.org",
        "user_id": "@mos:example.org",
        "room_id": "!abc",
        "allowed_senders": ["@ann:example.org", "@böb:example.org"],
    },
    "discord": {"channel_id": "123", "allowed_senders": ["4", "5"]},
}
SECOND: dict[str, dict[str, Any]] = {
    "tmux": {"session": "yes", "command": ["sh", "-c", "echo \"it's #1: 'x'\""]},
    "matrix": {"room_id": "#fleet:example.org", "allowed_senders": ["@ann:example.org"]},
    "discord": {"channel_id": "00012", "allowed_senders": ["6", "5", "7"]},
}
KINDS = st.sampled_from(sorted(FIRST))
NEEDED = [
    ["version: 1"],
    ["'transport': tmux # for ever"],
    ["agents:", "- {name: mos, runtime: claude}", "# between", "-   name: b", "    runtime: x"],
]
ELSEWHERE = [
    ["base: &base {session: operator}"],
    ["tmux:", "  socket_name: mosaic-fleet  # ours", "# between", "  holder: x"],
    ["'notes': |", "  connector:", "    kind: not this one", "  # nor this"],
    ["kept: |+", "  a", ""],
    ['"defaults" : {a: &t [1], b: [*t, {<<: {a: 1}}], c: "connector: {"}'],
    ["? plain", ": two", "  lines # ü 🙂"],
    ["x:\t[a,\tb]\t# tabs"],
]
COMMENTS = st.lists(st.sampled_from(["", "# ü: 'x'", "   # a: b", " # - c"]), max_size=3)
NOTES = st.sampled_from(["", "", "  # note", "\t# note"])


@dataclass(frozen=True)
class Generated:
    """A roster's three pieces, and the texts of the kinds' blocks in the middle one."""

    before: str
    block: str
    after: str
    kinds: dict[str, str]

    @property
    def raw(self) -> bytes:
        return (self.before + self.block + self.after).encode()


@st.composite
def inline(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        pairs = [f"{key}: {draw(inline(item))}" for key, item in value.items()]
        return "{" + ", ".join(pairs) + draw(st.sampled_from(["", ",", " "])) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(draw(inline(item)) for item in value) + "]"
    plain = value if value.isalpha() else f"'{value}'"
    escaped = '"' + "".join(f"\\u{ord(char):04x}" for char in value) + '"'
    styles = [
        plain,
        f"'{value}'",
        f'"{value}"',
        f"!!str '{value}'",
        f"&{value.encode().hex()} {escaped}",
    ]
    return str(draw(st.sampled_from(styles)))


@st.composite
def entry(draw: st.DrawFn, key: str, value: Any, column: int, step: int) -> list[str]:
    """The lines of one entry of a block mapping, and comments that belong to it."""
    head = " " * column + draw(st.sampled_from([key, f"'{key}'", f'"{key}"'])) + ":"
    note = draw(NOTES)
    if isinstance(value, str) and draw(st.integers(0, 4)) == 0:
        return [f"{head} >-", f"{' ' * (column + 7)}{value}"]
    if not isinstance(value, str) and draw(st.booleans()):
        lines = [head + note, *draw(COMMENTS.map(lambda lines: lines[:1]))]
        if isinstance(value, list):
            dash = " " * (column + draw(st.sampled_from([0, step])))
            return lines + [f"{dash}- {draw(inline(item))}{draw(NOTES)}" for item in value]
        for name, item in draw(st.permutations(list(value.items()))):
            lines += draw(st.sampled_from([[], [], ["# at column 0"]]))
            lines += draw(entry(name, item, column + step, step))
        return lines + draw(st.sampled_from([[], [f"{' ' * (column + step)}# note"]]))
    return [f"{head} {draw(inline(value))}{note}"]


@st.composite
def rosters(draw: st.DrawFn, *, with_block: bool = True) -> Generated:
    parts = draw(
        st.permutations([*NEEDED, *draw(st.lists(st.sampled_from(ELSEWHERE), unique_by=str))])
    )
    cut = draw(st.integers(0, len(parts)))
    before, after = (
        [line for part in some for line in [*part, *draw(COMMENTS)]]
        for some in (parts[:cut], parts[cut:])
    )
    if draw(st.booleans()):
        before = ["---", *draw(COMMENTS), *before]
    after = draw(st.sampled_from([[], [""], ["# after"], ["", "#", "  # x"]])) + after
    if draw(st.booleans()):
        after += ["...", "# the end"]

    chosen = draw(st.lists(KINDS, min_size=1, unique=True))
    step, kinds = draw(st.integers(1, 5)), {}
    if draw(st.integers(0, 3)) == 0:
        values = {"kind": chosen[0], **{kind: FIRST[kind] for kind in chosen}}
        block = [f"connector: {draw(inline(values))}{draw(NOTES)}"]
    else:
        block = [draw(st.sampled_from(["connector:", "'connector' :"])) + draw(NOTES)]
        for name in draw(st.permutations(["kind", *chosen])):
            block += draw(st.sampled_from([[], ["", "# at column 0", " " * step + "# note"]]))
            value = chosen[0] if name == "kind" else FIRST[name]
            lines = draw(entry(name, value, step, step))
            if (
                name == "tmux"
                and "base: &base {session: operator}" in before
                and draw(st.booleans())
            ):
                lines = [f"{' ' * step}tmux: *base"]
            block += lines
            kinds[name] = lines
    kinds.pop("kind", None)

    breaks = draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"]]))

    def text(lines: list[str]) -> str:
        return "".join(line + breaks[len(line) % len(breaks)] for line in lines)

    bom = draw(st.sampled_from(["", "\ufeff"]))
    pieces = [bom + text(before), text(block) if with_block else "", text(after)]
    if draw(st.booleans()):  # no final newline
        last = max(index for index, piece in enumerate(pieces) if piece)
        pieces[last] = pieces[last].removesuffix("\n").removesuffix("\r")

    one, two, three = pieces
    blocks = {kind: text(lines).rstrip("\r\n") for kind, lines in kinds.items()}
    return Generated(one, two, three, blocks)


def edited(raw: bytes, kind: str, own: dict[str, Any]) -> bytes:
    """The edited roster, once it says what it should and would not change again."""
    new = with_connector(raw, kind, own)
    wanted = read_text(raw).values
    connector = wanted.get("connector") or {}
    wanted["connector"] = connector | {"kind": kind, kind: (connector.get(kind) or {}) | own}
    assert read_text(new).values == wanted
    assert with_connector(new, kind, own) == new
    return new


@given(rosters(), st.permutations(sorted(FIRST)))
@settings(max_examples=50, deadline=None)
def test_switching_there_and_back_changes_nothing_outside_nor_another_kinds_block(
    roster: Generated, tour: list[str]
) -> None:
    first = parse_roster(roster.raw, "roster.yaml")
    new, untouched = roster.raw, dict(roster.kinds)
    for kind, own in [(kind, each[kind]) for each in (SECOND, FIRST) for kind in tour]:
        new = edited(new, kind, FIRST[kind] | own)
        untouched.pop(kind, None)
        text = new.decode()
        assert text.startswith(roster.before)
        assert text.endswith(roster.after)
        assert len(text) >= len(roster.before + roster.after)
        for comment in ("# at column 0", "# note"):
            assert text.count(comment) == roster.raw.decode().count(comment)
        for block in untouched.values():
            assert block in text
    back = parse_roster(edited(new, first.connector_kind, {}), "roster.yaml")
    assert back.connector_kind == first.connector_kind
    was, now = first.connector_settings, back.connector_settings
    assert {key: now[key] for key in was} == was


@given(rosters(with_block=False), KINDS)
@settings(max_examples=40, deadline=None)
def test_a_new_block_is_one_piece_that_is_put_in(roster: Generated, kind: str) -> None:
    before, after = roster.raw, edited(roster.raw, kind, FIRST[kind])
    same = next((at for at, byte in enumerate(before) if after[at] != byte), len(before))
    assert after.endswith(before[same:])
    assert parse_roster(after, "roster.yaml").connector_settings == FIRST[kind]


SPLINTERS = st.tuples(
    st.floats(0, 1),
    st.sampled_from(
        [
            "&x ",
            "*base",
            "!t ",
            "<<: *base",
            "\t",
            "\n",
            "\r",
            "\x85",
            "|+\n",
            ">\n",
            "#",
            " #",
            "{",
            "}",
            "[",
            "]",
            ",",
            "? ",
            "- ",
            ": ",
            "'",
            '"',
            "---\n",
            "...\n",
            " ",
            "%",
            "~",
        ]
    ),
)


@given(rosters(), st.lists(SPLINTERS, max_size=4), KINDS)
@settings(max_examples=150, deadline=None)
def test_whatever_yaml_it_is_the_edit_is_right_or_refused(
    roster: Generated, splinters: list[tuple[float, str]], kind: str
) -> None:
    text = roster.raw.decode()
    for place, splinter in splinters:
        at = int(place * len(text))
        text = text[:at] + splinter + text[at:]
    try:
        new = with_connector(text.encode(), kind, SECOND[kind])
    except ConfigError:
        return
    assert edited(text.encode(), kind, SECOND[kind]) == new
