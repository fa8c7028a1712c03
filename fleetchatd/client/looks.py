"""How the daemon's objects look to a person.

Every function takes what the API gave and trusts none of its types: a newer daemon may say more,
and what comes from the chat is neutralised here (output.py).
"""

from __future__ import annotations

import json

from fleetchatd.client import output
from fleetchatd.client.output import clock, line, paint, text

_DIM, _BOLD, _RED, _GREEN, _YELLOW, _CYAN = "2", "1", "31", "32", "33", "36"
_COLOUR_OF = {
    "ok": _GREEN,
    "delivered": _GREEN,
    "degraded": _YELLOW,
    "down": _RED,
    "failed": _RED,
    "unknown": _RED,
}
_ABILITIES = ("reachable", "authenticated", "receiving")
_OUTBOX = ("queued", "waiting", "failed")
_WHO_WIDTH = 12


def event_line(event: dict[str, object]) -> str:
    """An event, on one line unless a terminal shows a text of several (contract §4)."""
    kind = event.get("type")
    who = event.get("sender_name") or event.get("sender") or event.get("connector")
    if kind == "message":
        said = _said(event.get("text"))
    elif kind == "edit":
        said = f"(edit of {line(event.get('target'))}) {_said(event.get('text'))}"
    elif kind == "redaction":
        said = f"(took back {line(event.get('target'))})"
    elif kind == "reaction":
        said = f"{line(event.get('key'))} (on {line(event.get('target'))})"
    elif kind == "delivery":
        said = f"{state(event.get('state'))} {line(event.get('id'))}{_reason(event.get('error'))}"
    elif kind == "connector":
        said = f"is {state(event.get('status'))}{_reason(event.get('detail'))}"
    elif kind == "gap":
        said = f"events are missing{_reason(event.get('detail'))}"
    else:
        said = f"({line(kind)}) {line(json.dumps(event, ensure_ascii=False))}"
    return f"{line(event.get('seq')):>6}  {_spoken(event, who, said)}\n"


def history_lines(answer: dict[str, object]) -> str:
    """The messages of a page of history, the newest last."""
    shown = []
    for message in reversed(_objects(answer.get("messages"))):
        outgoing = message.get("direction") == "out"
        said = _said(message.get("text")) + paint(f"  ({line(message.get('id'))})", _DIM)
        if outgoing:
            said += _reason(message.get("error"))
        who = message.get("state") if outgoing else message.get("sender")
        shown.append(f"{'->' if outgoing else '<-'}  {_spoken(message, who, said)}\n")
    return "".join(shown)


def message_page(message: dict[str, object]) -> str:
    """One message, a field a line, its text last."""
    rows = []
    for name, value in message.items():
        if name != "text" and value not in (None, []):
            shown = ", ".join(map(line, value)) if isinstance(value, list) else line(value)
            rows.append([name, clock(value) if name == "time" else shown])
    return output.columns(rows) + "\n" + text(message.get("text")) + "\n"


def subscriber_table(answer: dict[str, object]) -> str:
    """Who is subscribed, a line each; nothing when nobody is."""
    rows = [
        [
            line(one.get("name")),
            "live" if one.get("connected") else "-",
            line(one.get("acked_seq")),
            line(one.get("lag")),
            duration(one.get("oldest_unacked_age_s")),
        ]
        for one in _objects(answer.get("subscribers"))
    ]
    return output.columns([["NAME", "STREAM", "ACKED", "LAG", "OLDEST"], *rows]) if rows else ""


def health_page(health: dict[str, object]) -> str:
    """The daemon's health, its status first."""
    connector, outbox = _object(health.get("connector")), _object(health.get("outbox"))
    journal, roster = _object(health.get("journal")), _object(health.get("roster"))
    problems = _list(health.get("problems"))
    detail = connector.get("detail")
    rows = [
        *(["problem", line(problem)] for problem in problems),
        ["connector", f"{line(connector.get('kind'))}: {_abilities(connector)}"],
        ["", "" if detail in problems else line(detail)],
        ["", _if_any("last heard from the chat {} ago", connector.get("last_receive_age_s"))],
        ["outbox", ", ".join(f"{line(outbox.get(name))} {name}" for name in _OUTBOX)],
        ["", _if_any("the oldest has waited for {}", outbox.get("oldest_age_s"))],
        ["journal", f"last seq {line(journal.get('last_seq'))}, {size(journal.get('size_bytes'))}"],
        ["roster", line(roster.get("path"))],
        ["", line(roster.get("error"))],
    ]
    for one in _objects(health.get("subscribers")):
        live = "live" if one.get("connected") else "not connected"
        rows.append(
            ["subscriber", f"{line(one.get('name'))}: {live}, {line(one.get('lag'))} behind"]
        )
    up = f"fleetchatd {line(health.get('version'))}, up {duration(health.get('uptime_s'))}"
    page = output.columns([row for row in rows if row[1]])
    return f"{state(health.get('status'))}  {up}\n{page}"


def state(value: object) -> str:
    """A state or status word, in its colour."""
    word = line(value)
    return paint(word, _COLOUR_OF[word]) if word in _COLOUR_OF else word


def duration(value: object) -> str:
    """Seconds as a person says them; "-" for none."""
    if not isinstance(value, int | float):
        return "-"
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if value >= 2 * seconds:
            return f"{value / seconds:.0f} {unit}"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def size(value: object) -> str:
    """Bytes as a person says them."""
    if not isinstance(value, int | float):
        return "-"
    for unit, step in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if value >= step:
            return f"{value / step:.1f} {unit}"
    return f"{value} bytes"


def _spoken(item: dict[str, object], who: object, said: str) -> str:
    thread = item.get("thread_id")
    place = paint(f"[{line(thread)}] ", _CYAN) if thread is not None else ""
    name = f"{line(who):<{_WHO_WIDTH}}"
    colour = _COLOUR_OF.get(line(who), _BOLD)
    return f"{paint(clock(item.get('time')), _DIM)}  {paint(name, colour)}  {place}{said}"


def _said(value: object) -> str:
    """A text: its further lines below and indented for a person, else on one line."""
    if not output.on_terminal():
        return line(value)
    return text(value).replace("\n", "\n" + " " * 10)


def _reason(value: object) -> str:
    return f": {line(value)}" if value else ""


def _abilities(connector: dict[str, object]) -> str:
    return ", ".join(name if connector.get(name) else f"not {name}" for name in _ABILITIES)


def _if_any(sentence: str, seconds: object) -> str:
    return "" if seconds is None else sentence.format(duration(seconds))


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, object]]:
    return [one for one in _list(value) if isinstance(one, dict)]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
