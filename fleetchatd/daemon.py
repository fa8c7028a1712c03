"""The only owner of tasks: what starts, in what order it stops, signals, reload."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from fleetchatd import metrics, places, systemd, upkeep
from fleetchatd.api import listener, server
from fleetchatd.api.service import Service
from fleetchatd.errors import (
    ConfigError,
    ConnectorNotImplementedError,
    FleetchatError,
    RosterError,
)
from fleetchatd.health import Observer
from fleetchatd.journal.sqlite import SqliteJournal
from fleetchatd.link import Link
from fleetchatd.model import Batch, ConnectorEvent, ConnectorHealth, rfc3339
from fleetchatd.outbox import Outbox
from fleetchatd.receipts import Receipts
from fleetchatd.roster import Roster, load_roster
from fleetchatd.state_dir import hold_state_dir

ANSWERS_GRACE_S = 3.0
"""How long answers under way may take at the end, twice, in seconds; a stop takes 25 s at most."""

EXTEND_EVERY_S = 2.0
EXTEND_BY_S = 10.0
"""While it stops: how often it asks systemd for more time, and for how much."""

STOP_MOST_S = 25.0
"""How long a stop may take at most (contract §7), in seconds."""

log = structlog.get_logger("fleetchatd.daemon")


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, resolved.

    Attributes:
        socket_path: where the API listens, unless systemd hands a socket over.
        keep_days: how long what everybody has acknowledged is kept.
        socket_group: who may use the socket beside its owner, unless systemd hands it over.
    """

    roster_path: str
    socket_path: str
    state_dir: str
    keep_days: int = 90
    socket_group: str | None = None


class Daemon:
    """One run of fleetchatd: everything between two signals."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._state_dir = Path(options.state_dir)
        self._notifier = systemd.Notifier()
        self._stop = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._told: ConnectorHealth | None = None
        self._earlier_events: Counter[str] = Counter()
        self._earlier_counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Start, serve until SIGTERM or SIGINT, and stop in order.

        Raises:
            ConfigError: the operator must change something first.
            AlreadyRunningError: another instance is at it.
            FleetchatError: it cannot start.
        """
        self._listen_to_signals()
        self._roster = self._read_roster()
        with hold_state_dir(self._state_dir):
            self._journal = SqliteJournal(self._state_dir / places.JOURNAL)
            try:
                await self._serve()
            finally:
                await self._journal.close()

    def _read_roster(self) -> Roster:
        roster = load_roster(self._options.roster_path)
        for doubt in roster.doubts:
            log.warning(doubt)
        return roster

    def _listen_to_signals(self) -> None:
        """From the beginning: one that comes while it starts is heeded as soon as it has started.

        Nothing is awaited before there is all that a reload needs.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_on_signal)

    async def _serve(self) -> None:
        with ExitStack() as opened:
            self._listening = opened.enter_context(ExitStack())
            socket = systemd.inherited_socket()
            if socket is None:
                socket = listener.bind(self._options.socket_path, self._options.socket_group)
                self._listening.callback(listener.unbind, self._options.socket_path)
            opened.enter_context(socket)
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self._start(socket)
                log.info("fleetchatd is ready", socket=socket.getsockname())
                self._notifier.tell("READY=1")
                gc.freeze()  # what is there now stays: the collector need not look at it again
                background = [self._spawn(work) for work in self._background()]
                await self._stop.wait()
                await self._shut_down()
                for task in background:
                    task.cancel()

    def _background(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What goes on beside the conversation, and ends after it."""
        yield self._outbox.expiry.run()
        yield self._receipts.show()
        yield upkeep.keep_up(self._journal, self._options.keep_days, self._show_status)
        if interval_s := systemd.watchdog_interval_s():
            yield upkeep.feed_watchdog(self._journal, self._notifier, interval_s)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    async def _start(self, socket: Any) -> None:
        self._outbox = Outbox(self._journal, self._spawn)
        self._link = self._make_link(self._roster)
        self._receipts = Receipts(
            self._journal, lambda: self._roster.orchestrator.name, lambda: self._link
        )
        service = Service(
            journal=self._journal,
            outbox=self._outbox,
            health=self._health,
            metrics=self._metrics,
            reload=self.reload,
            acknowledged=self._receipts.acknowledged,
        )
        self.observer = Observer(
            self._journal, self._state_dir, self._roster.path, service.streams.connected
        )
        self._server = server.Server(service)
        self._link.start(self._spawn)
        await self._server.start(socket)
        self._health_changed()

    def _make_link(self, roster: Roster) -> Link:
        return Link(roster, self._state_dir, self._journal, self._outbox, self._health_changed)

    async def _shut_down(self) -> None:
        log.info("fleetchatd is stopping")
        self._notifier.tell("STOPPING=1")
        self._notifier.status("stopping: what is under way may end")
        more_time = self._spawn(self._ask_for_time())
        self._outbox.ends.stop_waiting()
        self._listening.close()
        await self._server.close(ANSWERS_GRACE_S)
        async with self._reloading:  # one that is under way ends first, and none begins any more
            await self._link.stop()
        more_time.cancel()

    async def _ask_for_time(self) -> None:
        """Have systemd wait while this loop turns, however short its TimeoutStopSec= is.

        Not for ever: what is not over by then never would be, and systemd ends it.
        """
        end = time.monotonic() + STOP_MOST_S
        while (left_s := end - time.monotonic()) > 0:
            more_s = min(EXTEND_BY_S, left_s)
            self._notifier.tell(f"EXTEND_TIMEOUT_USEC={more_s * 1_000_000:.0f}")
            await asyncio.sleep(EXTEND_EVERY_S)

    # -- reload -------------------------------------------------------------------------------

    async def reload(self) -> None:
        """Read the roster and the secrets again, and switch the connector if they changed.

        It is carried through even if whoever asked goes away meanwhile.

        Raises:
            ConfigError: they do not do; nothing has changed.
            ConnectorNotImplementedError: there is no such connector here.
            FleetchatError: the daemon is stopping.
        """
        refused: list[FleetchatError] = []
        await asyncio.shield(self._spawn(self._reload(refused.append)))
        if refused:
            raise refused[0]

    def _reload_on_signal(self) -> None:
        # Nobody waits for the answer: it is logged, and health shows it.
        self._spawn(self._reload(lambda error: None))

    async def _reload(self, refuse: Callable[[FleetchatError], None]) -> None:
        async with self._reloading:
            if self._stop.is_set():
                refuse(FleetchatError("cannot reload: fleetchatd is stopping; start it again"))
                return
            self._notifier.tell(
                "RELOADING=1",
                f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}",
            )
            try:
                await self._switch()
            except (ConfigError, ConnectorNotImplementedError) as error:
                self.observer.roster_failed(str(error))
                problems = error.problems if isinstance(error, RosterError) else [str(error)]
                for problem in problems:
                    log.error(f"cannot reload the roster: {problem}")
                refuse(error)
            finally:
                self._notifier.tell("READY=1")

    async def _switch(self) -> None:
        roster = self._read_roster()
        kept = (
            roster.same_connector_as(self._roster)
            and self._link.same_secrets()
            and self._link.health().status != "down"
        )
        if not kept:
            link = self._make_link(roster)
            await self._link.stop()
            self._earlier_events.update(self._link.inbox.counts)
            self._earlier_counts.update(self._link.counts)
            self._link = link
            if not self._stop.is_set():
                link.start(self._spawn)
        self._roster = roster
        self.observer.roster_loaded(roster.path)
        self._health_changed()
        log.info("roster reloaded", fleetchat_connector=roster.connector_kind, switched=not kept)

    # -- health -------------------------------------------------------------------------------

    def _health(self) -> dict[str, Any]:
        return self.observer.health(self._link.connector, self._link.health())

    def _metrics(self) -> bytes:
        numbers = metrics.Numbers(
            self._health(),
            self._link.inbox.counts + self._earlier_events,
            self._outbox.counts,
            self._earlier_counts + Counter(self._link.counts),
        )
        return metrics.render(lambda: numbers)

    def _health_changed(self) -> None:
        """Tell whoever cares of the connector's health, if anything but an age changed."""
        link = getattr(self, "_link", None)
        if link is None or self._stop.is_set():
            return  # it is being made, or let go of on request, which is no trouble
        self._outbox.health_changed()
        health = link.health()
        if self._told is not None and health.same_as(self._told):
            return
        self._told = health
        kind = link.connector.kind
        event = ConnectorEvent(time=rfc3339(time.time()), connector=kind, health=health)
        self._journal.commit(link.connector.target, Batch([event])).add_done_callback(_looked_at)
        # That one which has only begun did not reach its chat yet is no trouble.
        calm = health.status == "ok" or health.same_as(link.at_first)
        report = log.info if calm else log.warning
        report(
            f"the connector is {health.status}",
            fleetchat_connector=kind,
            fleetchat_status=health.status,
            receiving=health.receiving,
            detail=health.detail,
        )
        self._show_status()

    def _show_status(self) -> None:
        if self._stop.is_set():
            return  # it says already that it is stopping
        health = self._health()
        sentences = health["problems"]
        self._notifier.status(": ".join([health["status"], *sentences[:1]]))


def _looked_at(committed: asyncio.Future[None]) -> None:
    """An event of our own that could not be journalled shows in health by itself."""
    if not committed.cancelled():
        committed.exception()
