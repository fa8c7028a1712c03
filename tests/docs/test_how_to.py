"""What the how-to pages say to type, typed by somebody new."""

from __future__ import annotations

import json

from tests.docs.shell import Newcomer
from tests.harness.documents import tested_blocks
from tests.harness.rosters import write_roster
from tests.harness.waiting import eventually


def fleet(newcomer: Newcomer, kind: str | None, **settings: object) -> None:
    """Write the newcomer's roster."""
    roster = newcomer.home / ".config" / "mosaic" / "fleet" / "roster.yaml"
    roster.parent.mkdir(parents=True, exist_ok=True)
    write_roster(roster, kind, **settings)


async def test_one_comes_to_the_console_as_the_documents_say(newcomer: Newcomer) -> None:
    fleet(newcomer, None)
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    pane = await newcomer.terminal(
        *tested_blocks("test_one_comes_to_the_console_as_the_documents_say")
    )
    await pane.shows("/help")
    await pane.submit("hello, mos")
    await pane.shows("kept")
    assert "hello, mos" in await newcomer.type("fleetchat history")


async def test_a_console_of_ones_own_is_started_as_the_documents_say(newcomer: Newcomer) -> None:
    fleet(newcomer, None)
    pane = await newcomer.terminal(
        *tested_blocks("test_a_console_of_ones_own_is_started_as_the_documents_say")
    )
    await pane.shows("fleetchatd is away")
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    await newcomer.type("fleetchat send 'I see you'")
    await pane.shows("I see you")


async def test_a_damaged_journal_is_rescued_as_the_documents_say(newcomer: Newcomer) -> None:
    fleet(newcomer, "memory")
    await keep_some(newcomer, 150)
    journal = newcomer.home / ".local" / "state" / "fleetchatd" / "journal.db"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20_000] + b"\xaa" * 4096 + whole[-20_000 + 4096 :])
    refused = await newcomer.type("fleetchatd", code=78)
    assert "journal" in refused
    await newcomer.type(*tested_blocks("test_a_damaged_journal_is_rescued_as_the_documents_say"))
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    texts = await newcomer.type("fleetchat history --limit 1000")
    assert texts.count("kept ") > 100


async def test_a_backup_is_a_journal(newcomer: Newcomer) -> None:
    fleet(newcomer, "memory")
    newcomer.instead["/backup/"] = f"{newcomer.home}/backup/"
    (newcomer.home / "backup").mkdir()
    back_up, restore = tested_blocks("test_a_backup_is_a_journal")
    running = newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    await newcomer.type("fleetchat send --wait 10 'kept'", back_up)
    await newcomer.type("fleetchat send --wait 10 'said since'")
    await newcomer.stop(running)
    await newcomer.type(restore)
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    assert [one["text"] for one in await newcomer.api.history()] == ["kept"]


async def test_metrics_are_left_for_prometheus(newcomer: Newcomer) -> None:
    fleet(newcomer, "memory")
    newcomer.instead["/var/lib/node_exporter"] = str(newcomer.home)
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    await newcomer.type(*tested_blocks("test_metrics_are_left_for_prometheus"))
    assert "fleetchatd_status 0.0" in (newcomer.home / "fleetchatd.prom").read_text()


async def test_a_changed_roster_is_checked_and_reloaded(newcomer: Newcomer) -> None:
    fleet(newcomer, "memory")
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    fleet(newcomer, "memory", echo=True)
    await newcomer.type(*tested_blocks("test_a_changed_roster_is_checked_and_reloaded"))
    await newcomer.type("fleetchat send --wait 10 'hello'")

    async def echoed() -> bool:
        return "in" in [one["direction"] for one in await newcomer.api.history()]

    await eventually("an echo, which the new roster asks for", echoed)


async def test_the_api_is_asked_as_its_reference_says(newcomer: Newcomer) -> None:
    fleet(newcomer, "memory")
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    (typed,) = tested_blocks("test_the_api_is_asked_as_its_reference_says")
    said = await newcomer.type(f"SOCK={newcomer.api.socket}", typed.replace("curl", "curl -s"))
    assert json.loads(said)["openapi"].startswith("3.1")


async def test_the_ten_lines_of_the_reference_are_a_subscriber(newcomer: Newcomer) -> None:
    fleet(newcomer, "memory", echo=True)
    newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    (program,) = tested_blocks("test_the_ten_lines_of_the_reference_are_a_subscriber")
    handle = "def handle(event): print(event['text'], flush=True)\n"
    (newcomer.home / "mine.py").write_text(handle + program)
    reader = newcomer.leave_running("python3 mine.py")

    async def reads() -> bool:
        return any(one["connected"] for one in await newcomer.api.subscribers())

    async def handled() -> bool:
        (position,) = await newcomer.api.subscribers()
        return "hello" in reader.log_text() and position["lag"] == 0

    await eventually("the subscription", reads)
    await newcomer.type("fleetchat send hello")
    await eventually("the echo handled and acknowledged", handled)


async def keep_some(newcomer: Newcomer, number: int) -> None:
    """Have a daemon take in messages, and stop it."""
    running = newcomer.leave_running("fleetchatd")
    await newcomer.until_well()
    for count in range(number):
        await newcomer.api.send(f"kept {count} {'x' * 500}")
    await newcomer.stop(running)
