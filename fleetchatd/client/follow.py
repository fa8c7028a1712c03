"""Following a durable subscriber's events over restarts of the daemon.

What is shown but not yet acknowledged when the connection breaks is acknowledged first thing on
the next one, so that a restart shows nothing twice.
"""

from __future__ import annotations

import signal
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from fleetchatd.client import output
from fleetchatd.client.connection import PATIENCE_S
from fleetchatd.client.errors import (
    ClientError,
    ConnectionBrokenError,
    NoDaemonError,
    NotDeliveredError,
    RefusedError,
)
from fleetchatd.client.events import Event, batches, open_stream
from fleetchatd.client.http import Client, Stream
from fleetchatd.client.subscribers import acknowledge

LONGEST_PAUSE_S = 30.0
LONGEST_ABSENCE_S = 1.0
"""To look for a daemon on this machine costs nothing, and the operator may be waiting."""

_ENDING = (signal.SIGTERM, signal.SIGHUP)

Deliver = Callable[[list[Event]], Iterable[Event]]
"""Hands on events that came together, in order; gives each one up to which all are safe there.

Raises NotDeliveredError for one that is to be tried again.
"""


class Terminated(SystemExit):
    """A signal arrived that ends the program; `args` holds its number.

    An asyncio loop lets no other exception of a signal handler through whatever it is doing.
    """


def follow(args: Namespace, deliver: Deliver) -> None:
    """Follow the subscriber's events until the end.

    Args:
        args: `name`, `types`, `event_class`, `start`, `takeover`, `no_ack` and `socket`.
        deliver: what to do with them.

    Raises:
        NoDaemonError: there was no daemon to begin with.
        ClientError: the name is in use, was taken over or deleted.
        OutputError: standard output cannot be written.
    """
    # What is ignored (`nohup`) stays ignored.
    ours = [one for one in _ENDING if signal.getsignal(one) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _terminate)
    try:
        Follower(args, deliver).run()
    except Terminated as end:
        # What we had started is gone by now: die of the signal, as its sender expects.
        signal.signal(end.args[0], signal.SIG_DFL)
        signal.raise_signal(end.args[0])
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def pauses() -> Iterator[float]:
    """The pauses between attempts, in seconds: doubling from a half to 30."""
    pause_s = 0.5
    while True:
        yield pause_s
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


class Follower:
    """A subscriber, what becomes of its events, and what it has yet to acknowledge."""

    def __init__(self, args: Namespace, deliver: Deliver) -> None:
        self._args = args
        self._deliver = deliver
        self._client = Client(args.socket)
        self._shown = 0
        self._acknowledged = 0
        self._pauses = pauses()

    def run(self) -> None:
        """Follow; every broken connection and failed delivery is followed by another attempt."""
        stream = open_stream(
            self._client,
            self._args,
            PATIENCE_S,
            from_=self._args.start,
            takeover="true" if self._args.takeover else None,
        )
        while True:
            why = self._follow_once(stream)
            stream = self._again(why)

    def _follow_once(self, stream: Stream) -> ClientError:
        """Deliver what the stream brings; returns why it ended."""
        try:
            with stream:
                for events in batches(stream):
                    for event in self._deliver(events):
                        self._delivered(event)
        except (ConnectionBrokenError, NoDaemonError, NotDeliveredError) as error:
            return error
        return ConnectionBrokenError("the daemon ended the stream")

    def _again(self, why: ClientError) -> Stream:
        """Pause and open the stream again, as often as it takes."""
        while True:
            pause_s = next(self._pauses)
            if not isinstance(why, NotDeliveredError):
                pause_s = min(pause_s, LONGEST_ABSENCE_S)
            output.note(f"{why}; trying again in {pause_s:g} s")
            time.sleep(pause_s)
            try:
                self._acknowledge()
                self._check_that_it_exists()
                stream = open_stream(self._client, self._args, PATIENCE_S)
            except (ConnectionBrokenError, NoDaemonError) as error:
                why = error
            except RefusedError as error:
                if error.status < 500:
                    raise
                why = error
            else:
                if not isinstance(why, NotDeliveredError):
                    output.note("connected again")
                return stream

    def _delivered(self, event: Event) -> None:
        self._pauses = pauses()
        if not self._args.no_ack:
            self._shown = event.seq
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self._shown > self._acknowledged:
            acknowledge(self._client, self._args.name, self._shown)
            self._acknowledged = self._shown

    def _check_that_it_exists(self) -> None:
        """A name that was deleted must not come back because its stream ended by it."""
        known = self._client.ask("GET", "/v1/subscribers").json().get("subscribers")
        for one in known if isinstance(known, list) else []:
            if isinstance(one, dict) and one.get("name") == self._args.name:
                return
        raise ClientError(f"the subscriber {self._args.name} was deleted")


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)
