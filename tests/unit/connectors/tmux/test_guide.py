"""What tmux and its environment say of themselves, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from fleetchatd.connectors.tmux.guide import locale_finding, version_finding


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ("tmux 3.3a\n", "ok"),
        ("tmux 3.2", "ok"),
        ("tmux 3.10", "ok"),
        ("tmux next-3.5", "ok"),
        ("tmux 3.2-rc4", "ok"),
        ("next-4.0", "ok"),
        ("tmux 3.1c", "error"),
        ("tmux 2.9a", "error"),
        ("tmux master", "warning"),
        ("tmux openbsd-7.3", "warning"),
        ("", "warning"),
        ("\x1b]0;tmux\x07" * 1000, "warning"),
    ],
)
def test_a_version_is_read_however_it_is_told(said: str, level: str) -> None:
    found = version_finding(said)
    assert found.level == level
    assert (found.remedy is None) == (level == "ok")
    assert len(found.what) < 300
    assert found.what.isprintable()


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({"LANG": "C.UTF-8"}, "ok"),
        ({"LANG": "de_DE.utf8"}, "ok"),
        ({"LC_ALL": "", "LC_CTYPE": "en_US.UTF-8", "LANG": "C"}, "ok"),
        ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, "warning"),
        ({"LANG": "de_DE@euro"}, "warning"),
        ({}, "warning"),
    ],
)
def test_the_locale_is_what_tmux_takes_for_it(environ: Mapping[str, str], level: str) -> None:
    assert locale_finding(environ).level == level
