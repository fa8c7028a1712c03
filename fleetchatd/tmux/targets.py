"""Which pane a person means, found among all panes of a server.

tmux's own way with names is no use here: it takes the beginning of a name for the name, and for a
window that does not exist another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, Self

_TARGET = re.compile(
    r"(?P<id>%\d+)"
    r"|=?(?P<session>[^=:.%][^:.]*)(:((?P<window>[^.]+)(\.(?P<pane>\d+))?)?)?"
)
_FIELDS = (
    "#{pane_id}",
    "#{session_name}",
    "#{window_index}",
    "#{pane_index}",
    "#{window_active}",
    "#{pane_active}",
    "#{window_name}",
)
_BETWEEN = "\t"

FORMAT = _BETWEEN.join(_FIELDS)
"""What to ask `list-panes -a -F` for."""


class Place(NamedTuple):
    """A pane, and by what it can be named."""

    pane_id: str
    session: str
    window: str
    pane: str
    window_active: str
    pane_active: str
    window_name: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """The pane in a line in `FORMAT`."""
        return cls(*line.split(_BETWEEN, len(_FIELDS) - 1))


@dataclass(frozen=True, slots=True)
class Target:
    """What a person wrote, taken apart; "" where nothing was said."""

    text: str
    pane_id: str | None
    session: str | None
    window: str = ""
    pane: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """`%3`, `=session`, `session:window` or `session:window.pane`; `:` may stand at the end."""
        match = _TARGET.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is no pane: %N, =SESSION, =SESSION:WINDOW or =SESSION:WINDOW.PANE"
            )
        return cls(text, match["id"], match["session"], match["window"] or "", match["pane"] or "")

    def means(self, place: Place) -> bool:
        """Whether it is this pane."""
        if self.pane_id is not None:
            return place.pane_id == self.pane_id
        if place.session != self.session:
            return False
        named = self.window in (place.window, place.window_name)
        if not (named if self.window else place.window_active == "1"):
            return False
        return place.pane == self.pane if self.pane else place.pane_active == "1"
