from __future__ import annotations

import pytest
from prompt_toolkit.data_structures import Point

from fleetchatd.client.console.paper import lines_above


@pytest.mark.parametrize(
    ("cursor", "columns", "lines"),
    [
        (Point(90, 1), 100, 1),  # nothing has changed
        (Point(90, 1), 200, 1),  # wider: what was no wrapped line is none now
        (Point(0, 1), 40, 3),  # the first line of 100 takes three
        (Point(39, 1), 40, 3),
        (Point(40, 1), 40, 4),  # the cursor's own line is wrapped before it
        (Point(90, 1), 45, 4),  # behind the end of a line that just fits, it stays at its end
        (Point(0, 0), 10, 0),
        (Point(0, 3), 40, 7),  # a line with nothing in it takes one too
    ],
)
def test_the_beginning_of_a_wrapped_prompt_is_found(
    cursor: Point, columns: int, lines: int
) -> None:
    used = {0: 100, 1: 90, 2: 0, 3: 5}
    assert lines_above(cursor, used.__getitem__, columns) == lines
