"""What a failed run leaves for whoever looks for the cause, and what a process costs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.harness.daemon import Daemon
from tests.harness.soak import Discrepancy
from tests.harness.soak_children import Subscriber

LOG_LINES = 80
ROWS = 30

_MESSAGES = (
    "SELECT ord, id, thread_id, state, attempts, attempt, remote_ids, error, text FROM messages"
)
_QUERIES = {
    "messages that are not delivered": f"{_MESSAGES} WHERE state != 2 ORDER BY ord LIMIT {ROWS}",
    "messages attempted more than once": (
        f"{_MESSAGES} WHERE attempts > 1 ORDER BY ord DESC LIMIT {ROWS}"
    ),
    "positions": "SELECT name, position FROM targets",
    "subscribers": "SELECT name, acked FROM subscribers",
    "newest events": f"SELECT seq, body FROM events ORDER BY seq DESC LIMIT {ROWS}",
}


@contextmanager
def shown_on_failure(seed: int, daemon: Daemon, subscriber: Subscriber) -> Iterator[None]:
    """Prints the seed and what the run struck; a failure shows logs and the journal's rows."""
    print(f"FLEETCHATD_TEST_SEED={seed}")
    try:
        yield
        again = _attempted_again(daemon.state_dir / "journal.db")
        print(f"{again} messages attempted again, {subscriber.written_again} events written again")
    except Exception as error:
        texts = error.texts if isinstance(error, Discrepancy) else ()
        error.add_note(f"reproduce with FLEETCHATD_TEST_SEED={seed}")
        error.add_note(_journal(daemon.state_dir / "journal.db", texts))
        for what, log in (("fleetchatd", daemon.log_text), ("subscriber", subscriber.log_text)):
            error.add_note(f"-- {what} said last\n" + "\n".join(log.splitlines()[-LOG_LINES:]))
        raise


def _attempted_again(path: Path) -> int:
    with closing(_opened(path)) as journal:
        query = "SELECT count(*) FROM messages WHERE attempts > 1"
        return int(journal.execute(query).fetchone()[0])


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def _journal(path: Path, texts: Sequence[str]) -> str:
    marks = ",".join("?" * len(texts[:ROWS]))
    queries = dict.fromkeys(_QUERIES.values(), ()) | {
        f"{_MESSAGES} WHERE text IN ({marks})": tuple(texts[:ROWS]),
        f"SELECT seq, body FROM events WHERE CAST(body AS TEXT) ->> 'text' IN ({marks})": tuple(
            texts[:ROWS]
        ),
    }
    lines = []
    try:
        with closing(_opened(path)) as journal:
            for query, values in queries.items():
                lines.append(f"-- {query}")
                lines += [repr(row) for row in journal.execute(query, values)]
    except sqlite3.Error as error:
        lines.append(f"the journal cannot be read: {error}")
    return "\n".join(lines)


def rss_bytes(pid: int) -> int:
    """The memory that a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """The processor time, in seconds, that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
