"""`fleetchat doctor --round-trip`: one message on the way that all messages take, never two.

Through the daemon if there is one; else through a connector of our own, while the state directory
is locked so that no daemon begins meanwhile. Whatever is not known to have arrived is told, and
never tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import socket
import time
import uuid
from dataclasses import replace
from pathlib import Path

from fleetchatd.client.errors import ClientError, ConnectionBrokenError
from fleetchatd.client.http import Client
from fleetchatd.connectors import registry
from fleetchatd.connectors.base import Closes, Connector
from fleetchatd.connectors.guide import Finding
from fleetchatd.errors import (
    FleetchatError,
    SendDeferred,
    SendRefused,
    SetupError,
)
from fleetchatd.model import Batch, Draft, Message, rfc3339
from fleetchatd.outbox.abilities import mark, split
from fleetchatd.roster import Roster
from fleetchatd.setup.checks.places import user_name
from fleetchatd.setup.checks.running import find_daemon
from fleetchatd.setup.context import context_for
from fleetchatd.setup.findings import of_error, told
from fleetchatd.state_dir import hold_state_dir

HEALTHY_S = 15.0
"""How long a connector may take until it can be sent through, in seconds."""

SEND_S = 20.0
"""How long the message may take, in seconds; no attempt to send it begins after that."""

END_S = 10.0
"""How long the daemon may then take to find out what became of it, in seconds."""

_LOOK = "look into the chat whether it is there"
_AGAIN = "mend that, and run it again"


def _draft() -> Draft:
    text = (
        "This is a test, nothing needs to be done: "
        f"{_user()} on {socket.gethostname()} has run `fleetchat doctor --round-trip`."
    )
    return Draft(text, notice=True, expires_s=SEND_S)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return f"user {os.getuid()}"


def _arrived(began: float, remote_id: object) -> Finding:
    took_ms = (time.monotonic() - began) * 1000
    return Finding("ok", f"round trip: the chat took a message in {took_ms:.0f} ms ({remote_id})")


def _unknown(why: str) -> Finding:
    return Finding("error", f"round trip: a message was sent, perhaps: {why}", _LOOK)


def _not_sent(why: str) -> Finding:
    what, remedy = told(why, _AGAIN)
    return Finding("error", f"round trip: nothing was sent: {what}", remedy)


# -- through the daemon --------------------------------------------------------------------------


async def through_daemon(socket_option: str | None) -> Finding:
    """Hand one message to the daemon that a client with this `--socket` reaches; see its end.

    Not while its chat takes none: what expires in its outbox would be told as failed from then on.
    """
    if trouble := await _lasting_trouble(socket_option):
        return _not_sent(trouble)
    draft, began = _draft(), time.monotonic()
    try:
        message = _post(Client(socket_option), draft)
    except ConnectionBrokenError as error:
        return _unknown(str(error))
    except ClientError as error:
        return _not_sent(str(error))
    state, reason = message.get("state"), message.get("error")
    if state == "delivered":
        return _arrived(began, message.get("remote_id"))
    if state == "failed" and not message.get("remote_ids"):
        late = f"the chat did not take it within {SEND_S:g} s"
        return _not_sent(late if reason == "expired" else str(reason))
    return _unknown(f"it is {state}" + (f" ({reason})" if reason else ""))


async def _lasting_trouble(socket_option: str | None) -> str | None:
    """What the daemon's connector is still in trouble with after a while; None if it is well."""
    end = time.monotonic() + HEALTHY_S
    while True:
        found = find_daemon(socket_option)
        if isinstance(found, ClientError):
            return str(found)
        trouble = found.connector.get("detail")
        if not trouble or time.monotonic() > end:
            return str(trouble) if trouble else None
        await asyncio.sleep(0.2)


def _post(client: Client, draft: Draft) -> dict[str, object]:
    """Post it, once; raises as `Client.ask` does."""
    answer = client.ask(
        "POST",
        f"/v1/messages?wait_s={SEND_S + END_S:g}",
        {"text": draft.text, "notice": draft.notice, "expires_s": draft.expires_s},
        headers=f"Idempotency-Key: doctor-{uuid.uuid4().hex}\r\n",
        patience_s=2 * (SEND_S + END_S),
    )
    return answer.json()


# -- without one ---------------------------------------------------------------------------------


async def through_connector(roster: Roster, state_dir: str) -> Finding:
    """Send one message as a daemon would, and leave everything else to the daemon."""
    try:
        _refuse_anothers(Path(state_dir))
        with hold_state_dir(Path(state_dir)):
            return await _Trial(roster, state_dir).run()
    except FleetchatError as error:
        return _not_sent(str(error))


def _refuse_anothers(state_dir: Path) -> None:
    """What root leaves in the state directory of a service, the service could not open."""
    if state_dir.exists() and (owner := state_dir.stat().st_uid) != os.geteuid():
        name = user_name(owner)
        raise SetupError(
            f"the state directory {state_dir} belongs to {name}; run it as {name}, or start"
            " fleetchatd first"
        )


class _Deaf:
    """An inbox that journals nothing.

    What people have said must not count as received: a commit that has events in it is never done,
    so that whoever hands it over keeps it for the daemon.

    Attributes:
        offered: whether there was any of that.
    """

    def __init__(self, changed: asyncio.Event) -> None:
        self.offered = False
        self._changed = changed

    async def position(self) -> str | None:
        return None

    def commit(self, batch: Batch) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if batch.events:
            self.offered = True
            self._changed.set()
        else:
            done.set_result(None)
        return done


class _Trial:
    """A connector of our own, for one message.

    Raises:
        ConfigError: it cannot be made.
    """

    def __init__(self, roster: Roster, state_dir: str) -> None:
        self._changed = asyncio.Event()
        self._inbox = _Deaf(self._changed)
        self._broken: Exception | None = None
        context = context_for(roster, state_dir)
        self._connector: Connector = registry.connector_class(roster.connector_kind).create(
            roster.connector_settings, replace(context, health_changed=self._changed.set)
        )

    async def run(self) -> Finding:
        """Receive until it can be sent through, send, and let go of it."""
        try:
            async with asyncio.TaskGroup() as group:
                receiver = group.create_task(self._receive())
                try:
                    await self._until_healthy()
                    return await self._send()
                except SetupError as error:
                    return _not_sent(str(error))
                finally:
                    receiver.cancel()
        finally:
            if isinstance(self._connector, Closes):
                with contextlib.suppress(Exception):  # it changes nothing of what was found
                    await self._connector.close()

    async def _receive(self) -> None:
        try:
            await self._connector.subscribe(self._inbox)
        except Exception as error:  # somebody else's, perhaps
            self._broken = error
            self._changed.set()

    async def _until_healthy(self) -> None:
        """Wait until it can be sent through.

        Raises:
            SetupError: it cannot.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEALTHY_S):
                while self._connector.health().status != "ok":
                    if self._broken is not None:
                        raise SetupError(of_error(self._broken, "the chat").what)
                    if self._inbox.offered:
                        raise SetupError(
                            "somebody has said something meanwhile, which the daemon must take in "
                            "first; start fleetchatd, and run it again"
                        )
                    self._changed.clear()
                    await self._changed.wait()
                return
        raise SetupError(self._connector.health().detail or "the chat does not answer")

    async def _send(self) -> Finding:
        draft, began = _draft(), time.monotonic()
        message = Message(
            id=f"doctor-{uuid.uuid4().hex}",
            order=1,
            time=rfc3339(time.time()),
            draft=draft,
            target=self._connector.target,
            parts=split(self._connector, draft),
            attempt=mark(self._connector),
        )
        try:
            async with asyncio.timeout(SEND_S):
                result = await self._connector.send(message.next_part(None))
        except (SendRefused, SendDeferred) as error:
            return _not_sent(str(error))
        except TimeoutError:
            return _unknown(f"no answer came within {SEND_S:g} s")
        except Exception as error:  # ambiguous, or a connector that broke
            return _unknown(of_error(error, "what became of it").what)
        return _arrived(began, result.remote_id)
