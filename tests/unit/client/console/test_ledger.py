from __future__ import annotations

from fleetchatd.client.console.ledger import HINT, Ledger
from fleetchatd.tmux.marks import Mark


def test_before_anything_was_sent_it_says_how_to() -> None:
    ledger = Ledger([])
    ledger.here = True
    assert ledger.words("mos") == HINT


def test_without_a_daemon_it_counts_what_waits_from_before_too() -> None:
    ledger = Ledger(["1", "2"])
    ledger.submitted("3")
    assert ledger.words("mos") == "… waiting for fleetchatd (3)"
    ledger.only(["3"])
    assert ledger.words("mos") == "… waiting for fleetchatd (1)"


def test_what_was_taken_covers_all_before_it_and_nothing_behind_it() -> None:
    ledger = Ledger([])
    ledger.here = True
    for number in "123":
        ledger.submitted(number)
    ledger.mark(Mark("taken", "2"))
    assert ledger.words("mos") == "… on its way"
    ledger.mark(Mark("kept", "3"))
    assert ledger.words("mos") == "✓ kept"
    ledger.mark(Mark("taken", "4"))  # another console's
    assert ledger.words("mos") == "✓✓ taken by mos"
    ledger.submitted("5")
    assert ledger.words("mos") == "… on its way"


def test_what_has_left_the_spool_is_kept() -> None:
    ledger = Ledger([])
    ledger.submitted("1")
    ledger.only([])
    ledger.here = True
    assert ledger.words("mos") == "✓ kept"
