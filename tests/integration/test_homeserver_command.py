"""`fleetchat homeserver`: from an empty home to a conversation, whatever dies on the way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
import yaml

from fleetchatd.homeserver import config, install, process
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness import matrix_http
from tests.harness.api import Api
from tests.harness.child import Child
from tests.harness.daemon import Death
from tests.harness.human import Account, Human
from tests.harness.matrix_http import path
from tests.harness.synapse_install import ensure_installed
from tests.harness.tmux import PROGRAMS
from tests.harness.waiting import eventually

pytestmark = pytest.mark.synapse

OTHER = """\
# Ours is elsewhere.
version: 1
transport: tmux
agents: [{name: mos, runtime: claude, class: orchestrator}]
connector:
  kind: tmux
  matrix:
    homeserver_url: https://matrix.example.org
    user_id: '@mos:example.org'
    room_id: '!abc:example.org'
    allowed_senders: ['@ann:example.org']
"""


PEOPLE = ("bot", "operator")

REQUEST = "fleetchatd.connectors.matrix.api:Api.request"
DEATHS = [
    Death("after", "fleetchatd.homeserver.config:write"),
    Death("before", "subprocess:Popen", 2),  # the first is a look whether there is a Synapse
    Death("after", "subprocess:Popen", 2),
    *(Death("after", REQUEST, number) for number in (3, 5, 6, 7, 8, 10)),  # to the room,
    *(Death("after", REQUEST, number) for number in (4, 5, 6)),  # and from there
    Death("after", "fleetchatd.secrets:store_login"),
    Death("after", "fleetchatd.setup.editing.change:write"),
]
"""Each a step further, in the order in which `up` comes to them."""


class Said(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


class Machine:
    """A home with nothing in it, of somebody who is called Ann there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / ".local/state/fleetchatd"
        self.roster = home / ".config/mosaic/fleet/roster.yaml"
        self.folder = self.state / "homeserver"
        (home / "run").mkdir(mode=0o700)
        self.env = {
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "LOGNAME": "ann",
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(home / "run"),
            install.PYTHON_VARIABLE: str(ensure_installed()),
        }
        self.api = Api(home / "run/fleetchatd/fleetchatd.sock")

    async def fleetchat(self, *words: str, death: Death | None = None, umask: int = -1) -> Said:
        command: Sequence[str] = [str(PROGRAMS / "fleetchat")]
        if death is not None:
            command = death.command("--as", "fleetchatd.client.main")
        started = await asyncio.create_subprocess_exec(
            *command,
            *words,
            cwd=self.home,
            env=self.env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            umask=umask,
        )
        async with asyncio.timeout(120):
            out, err = await started.communicate()
        assert started.returncode is not None
        return Said(started.returncode, out.decode(), err.decode())

    async def up(self, *options: str, umask: int = -1) -> Any:
        """What `up` answers to programs."""
        said = await self.fleetchat("homeserver", "up", "--json", *options, umask=umask)
        assert said.code == 0, said.err
        return json.loads(said.out)

    async def operator(self, answer: Any) -> Human:
        """The operator, signed in with what `up` has printed, as any client does it."""
        return await signed_in(answer, **answer["operator"])

    async def bot(self, answer: Any) -> Human:
        """The bot's account, with the token that is stored for the daemon."""
        login = json.loads((self.state / "logins/matrix_access_token.json").read_text())
        token = login["access_token"]
        who = await matrix_http.demand(
            answer["homeserver_url"], "GET", path("account", "whoami"), token=token
        )
        account = Account(who["user_id"], "", token, who["device_id"])
        return Human(answer["homeserver_url"], account, answer["room_id"])

    def block(self) -> Any:
        return yaml.safe_load(self.roster.read_text())["connector"]

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[None]:
        """fleetchatd, with everything where it looks for it by itself, in the room."""
        child = Child("fleetchatd", self.home / "daemon.log")
        child.spawn([str(PROGRAMS / "fleetchatd")], self.env, self.home)

        async def listening() -> bool:
            assert child.running, child.failure("ended at its start")
            return self.api.socket.exists()

        try:
            await eventually("the daemon's socket", listening)
            await self.api.wait_health(lambda health: health["connector"]["receiving"])
            yield
        finally:
            await child.end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill Synapse where it stands."""
        pid = process.running(self.folder)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)


async def signed_in(answer: Any, user_id: str, password: str) -> Human:
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user_id},
        "password": password,
    }
    url = answer["homeserver_url"]
    login = await matrix_http.demand(url, "POST", path("login"), body)
    account = Account(user_id, password, login["access_token"], login["device_id"])
    return Human(url, account, answer["room_id"])


@contextmanager
def empty_machine() -> Iterator[Machine]:
    with TemporaryDirectory(prefix="fleetchat-") as home:  # short: a socket's path has 107 bytes
        made = Machine(Path(home))
        try:
            yield made
        finally:
            if process.running(made.folder) is not None:
                made.kill()


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine where nothing was done yet."""
    with empty_machine() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settled() -> AsyncIterator[Machine]:
    """A machine with a homeserver: every `up` takes it as the test before has left it."""
    with empty_machine() as made:
        await made.up(umask=0)
        yield made


async def test_from_nothing_to_a_conversation(settled: Machine) -> None:
    answer = await settled.up()
    assert answer["operator"]["user_id"] == "@ann:fleet.local"
    assert settled.block() == {
        "kind": "matrix",
        "matrix": {
            "homeserver_url": answer["homeserver_url"],
            "user_id": "@orchestrator:fleet.local",
            "room_id": answer["room_id"],
        },
    }
    ann = await settled.operator(answer)
    async with settled.daemon():
        await settled.fleetchat("read", "--name", "mos")
        await ann.say("ship it")
        heard = await settled.fleetchat("read", "--name", "mos", "--wait", "20")
        assert "ship it" in heard.out
        sent = await settled.fleetchat("send", "--wait", "20", "Shipped.")
        assert sent.code == 0, sent.err
        await ann.hears("Shipped.")


async def test_it_is_private_whatever_the_umask_was(settled: Machine) -> None:
    await settled.up()
    kept = [settled.folder, *settled.folder.rglob("*"), *settled.state.glob("logins/*")]
    assert [file for file in kept if file.stat().st_mode & 0o077] == []
    record = json.loads((settled.folder / "record.json").read_text())
    secrets = [record["registration_secret"], *(record[who]["password"] for who in PEOPLE)]
    process_files = Path(f"/proc/{process.running(settled.folder)}")
    shown = "".join((process_files / name).read_text() for name in ("cmdline", "environ"))
    shown += (settled.folder / "synapse.log").read_text() + settled.roster.read_text()
    assert [secret for secret in secrets if secret in shown] == []


async def test_nobody_else_gets_in(settled: Machine) -> None:
    answer = await settled.up()
    port = int(answer["homeserver_url"].rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port))
    ann = await settled.operator(answer)
    state = {event["type"]: event["content"] for event in await ann.state()}
    assert state["m.room.join_rules"]["join_rule"] == "invite"
    assert "m.room.encryption" not in state
    eve = {"username": "eve", "password": "eve", "auth": {"type": "m.login.dummy"}}
    refused = await matrix_http.ask(ann.base_url, "POST", path("register"), eve)
    assert (refused.status, refused.body["errcode"]) == (403, "M_FORBIDDEN")


async def test_a_client_in_a_browser_may_ask(settled: Machine) -> None:
    answer = await settled.up()
    asked = await matrix_http.ask(answer["homeserver_url"], "OPTIONS", path("login"))
    assert asked.headers["Access-Control-Allow-Origin"] == "*"


async def test_it_is_the_same_after_a_crash_and_after_a_pause(settled: Machine) -> None:
    answer = await settled.up()
    await (await settled.operator(answer)).say("remember this")
    settled.kill()
    assert await settled.up() == answer

    down = await settled.fleetchat("homeserver", "down")
    assert (down.code, "has stopped" in down.out) == (0, True)
    assert process.running(settled.folder) is None
    down = await settled.fleetchat("homeserver", "down", "--json")
    assert (down.code, json.loads(down.out)) == (0, {"stopped": False})

    port = int(answer["homeserver_url"].rpartition(":")[2])
    with listener(port):  # rosters and clients know it by now: no other will do
        said = await settled.fleetchat("homeserver", "up")
    assert said.code == 1
    assert f"another program has its port, {port} on 127.0.0.1; find it with" in said.err

    assert await settled.up() == answer
    assert "remember this" in await (await settled.operator(answer)).texts()


async def test_another_homeserver_in_the_roster_is_refused_and_nothing_changed(
    machine: Machine,
) -> None:
    machine.roster.parent.mkdir(parents=True)
    machine.roster.write_text(OTHER)
    refused = await machine.fleetchat("homeserver", "up", "--json")
    assert (refused.code, refused.out) == (1, "")
    assert "names another homeserver, user or room; name another file with" in refused.err
    assert machine.roster.read_text() == OTHER
    assert not machine.state.exists()


async def test_force_replaces_it_and_keeps_a_backup(settled: Machine) -> None:
    roster = settled.home / "theirs.yaml"
    roster.write_text(OTHER)
    answer = await settled.up("--roster", "theirs.yaml", "--force")
    connector = yaml.safe_load(roster.read_text())["connector"]
    assert (connector["kind"], connector["matrix"]) == (
        "matrix",
        {
            "homeserver_url": answer["homeserver_url"],
            "user_id": "@orchestrator:fleet.local",
            "room_id": answer["room_id"],
            "allowed_senders": ["@ann:fleet.local"],
        },
    )
    assert roster.with_name("theirs.yaml.bak").read_text() == OTHER
    assert await settled.up("--roster", "theirs.yaml") == answer


async def test_another_homeservers_login_is_ended_there_and_never_shown_here(
    settled: Machine, fake: FakeMatrixRoom
) -> None:
    answer = await settled.up()
    login = settled.state / "logins/matrix_access_token.json"
    theirs = {"access_token": fake.bot.access_token, "servers": [fake.server.base_url]}
    login.write_text(json.dumps(theirs))
    said = await settled.fleetchat("homeserver", "up", "--json")
    assert json.loads(said.out) == answer
    assert f"ended the login for {fake.server.base_url} that was stored" in said.err
    (ended,) = fake.server.calls_to("POST", "*/logout")
    assert ended.token == fake.bot.access_token
    assert (await settled.bot(answer)).user_id == "@orchestrator:fleet.local"
    # Where that cannot be done, it is said, and holds nothing up.
    await fake.server.stop()
    login.write_text(json.dumps(theirs | {"device_id": "THEIRS"}))
    said = await settled.fleetchat("homeserver", "up", "--json")
    assert json.loads(said.out) == answer
    assert f"cannot end the login for {fake.server.base_url}" in said.err
    assert "sign out its device THEIRS there" in said.err


async def test_passwords_go_to_no_proxy(settled: Machine) -> None:
    answer = await settled.up()
    settled.env["http_proxy"] = "http://127.0.0.1:9"  # where nobody listens
    try:
        assert await settled.up() == answer
    finally:
        del settled.env["http_proxy"]


async def test_a_login_that_was_withdrawn_is_made_anew(settled: Machine) -> None:
    answer = await settled.up()
    await (await settled.bot(answer)).logout()
    assert await settled.up() == answer
    assert (await settled.bot(answer)).user_id == "@orchestrator:fleet.local"


async def test_people_are_told_what_to_type(settled: Machine) -> None:
    answer = await settled.up("--roster", "my fleet.yaml")
    settled.env["MATRIX_ACCESS_TOKEN"] = "syt_another"
    said = await settled.fleetchat("homeserver", "up", "--roster", "my fleet.yaml")
    del settled.env["MATRIX_ACCESS_TOKEN"]
    assert said.code == 0
    for words in (answer["homeserver_url"], " ann\n", answer["operator"]["password"]):
        assert words in said.out
    assert "fleetchatd --roster 'my fleet.yaml'" in said.out
    assert "$MATRIX_ACCESS_TOKEN comes before what is stored" in said.err
    assert "syt_another" not in said.out + said.err


async def test_a_room_that_was_left_half_made_is_made_anew(settled: Machine) -> None:
    answer = await settled.up()
    await (await settled.bot(answer)).leave()
    record = settled.folder / "record.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"room_id": None}))
    mended = await settled.up("--force")
    assert mended["room_id"] != answer["room_id"]
    assert settled.block()["matrix"]["room_id"] == mended["room_id"]


async def test_many_at_once_start_one_and_leave_a_taken_port_alone(machine: Machine) -> None:
    with listener(8008):
        answers = await asyncio.gather(*(machine.up() for _ in range(3)))
    assert answers[0] == answers[1] == answers[2]
    assert not answers[0]["homeserver_url"].endswith(":8008")
    assert await rooms_and_devices(await machine.bot(answers[0])) == (1, 1)


async def test_whatever_it_died_of_the_next_one_mends(machine: Machine) -> None:
    for death in DEATHS:
        said = await machine.fleetchat("homeserver", "up", death=death)
        assert said.code == -signal.SIGKILL, f"{death}: {said.out}{said.err}"
    answer = await machine.up()
    assert machine.block()["matrix"]["room_id"] == answer["room_id"]
    assert await rooms_and_devices(await machine.bot(answer)) == (1, 1)
    assert (await rooms_and_devices(await machine.operator(answer)))[0] == 1


async def rooms_and_devices(person: Human) -> tuple[int, int]:
    """In how many rooms somebody is, and how many logins they have."""
    rooms = await person.ask("GET", path("joined_rooms"))
    devices = await person.ask("GET", path("devices"))
    return len(rooms.body["joined_rooms"]), len(devices.body["devices"])


@contextmanager
def listener(port: int) -> Iterator[None]:
    """Somebody who listens there: we, or whoever does already."""
    try:
        server = socket.create_server((config.ADDRESS, port))
    except OSError:
        yield
        return
    with server:
        yield
