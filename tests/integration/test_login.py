"""`fleetchat login` and `logout` against real and scripted servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetchatd.secrets import exchange
from tests.fakes.discord.server import FakeDiscord
from tests.fakes.faults import refuse
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.home import Done, Home
from tests.harness.matrix_http import ask, path
from tests.harness.person import Person
from tests.harness.rooms import MakeDaemon, Room, StartSynapse
from tests.harness.rosters import write_roster
from tests.harness.tmux import Tmux

NOBODY = "http://127.0.0.1:1"


def account(room: Room | FakeMatrixRoom) -> list[str]:
    settings = room.settings
    return ["--homeserver-url", settings["homeserver_url"], "--user-id", settings["user_id"]]


async def log_in(home: Home, room: Room | FakeMatrixRoom, password: str) -> Done:
    command = ["login", "matrix", "--password-stdin", *account(room)]
    return await home.run(*command, stdin=f"{password}\n")


def stored(home: Home, name: str = "matrix_access_token") -> dict[str, str]:
    found: dict[str, str] = json.loads(login_file(home, name).read_text())
    return found


def login_file(home: Home, name: str = "matrix_access_token") -> Path:
    return home.state_dir / "logins" / f"{name}.json"


async def whoami(room: Room, token: str) -> int:
    answer = await ask(room.synapse.base_url, "GET", path("account", "whoami"), token=token)
    return answer.status


async def test_a_password_becomes_a_device_of_ours_that_a_daemon_can_use(
    home: Home, room: Room, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(kind="matrix", **room.settings)
    there = ["--roster", str(daemon.roster), "--state-dir", str(daemon.state_dir)]
    command = ["login", "matrix", "--password-stdin", *there]
    done = await home.run(*command, stdin=room.bot.password)
    assert done.code == 0, done
    assert f"logged in as {room.bot.user_id}, device " in done.out
    file = daemon.state_dir / "logins" / "matrix_access_token.json"
    assert f"stored in {file}" in done.out
    assert [each.stat().st_mode & 0o777 for each in (daemon.state_dir, file)] == [0o700, 0o600]
    login = json.loads(file.read_text())
    assert login["access_token"] not in done.out + done.errors
    assert room.bot.password not in done.out + done.errors + file.read_text()
    device = await room.bot_hands.ask("GET", path("devices", login["device_id"]))
    assert "fleetchat" in device.body["display_name"]
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])
    again = await home.run(*command, "--socket", str(daemon.socket), stdin=room.bot.password)
    assert "next: fleetchat reload" in again.out
    assert (await daemon.api.reload()).status == 200
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])


async def test_a_server_that_renews_tokens_gives_one_to_renew_with(
    home: Home, own_synapse: StartSynapse
) -> None:
    synapse = await own_synapse(refreshable_access_token_lifetime="5m")
    bot = await synapse.register()
    command = ["--homeserver-url", synapse.base_url, "--user-id", bot.user_id]
    done = await home.run("login", "matrix", "--password-stdin", *command, stdin=bot.password)
    assert done.code == 0, done
    assert stored(home)["refresh_token"]
    assert stored(home)["expires_at"]


async def test_what_is_given_is_in_no_list_of_processes(home: Home, fake: FakeMatrixRoom) -> None:
    hold = fake.server.hold("POST", "*/login")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(log_in(home, fake, fake.bot.password))
        await hold.reached()
        shown = everything_that_ps_shows()
        hold.release()
    assert fake.bot.user_id in shown
    assert fake.bot.password not in shown
    assert running.result().code == 0


def everything_that_ps_shows() -> str:
    shown = []
    for name in ("cmdline", "environ", "comm"):
        for file in Path("/proc").glob(f"[0-9]*/{name}"):
            try:
                shown.append(file.read_text(errors="replace"))
            except OSError:
                continue
    return "\n".join(shown)


async def test_what_is_refused_changes_nothing_that_was_stored(
    home: Home, fake: FakeMatrixRoom
) -> None:
    assert (await log_in(home, fake, fake.bot.password)).code == 0
    before = login_file(home).read_bytes()
    wrong = await log_in(home, fake, "hunter2")
    assert (wrong.code, wrong.out) == (1, "")
    assert "refuses the password" in wrong.errors
    assert "hunter2" not in wrong.errors
    await fake.server.stop()
    away = await log_in(home, fake, fake.bot.password)
    assert (away.code, "cannot reach" in away.errors) == (1, True), away
    assert login_file(home).read_bytes() == before


async def test_a_login_that_cannot_be_stored_is_ended_or_not_even_made(
    home: Home, fake: FakeMatrixRoom
) -> None:
    login_file(home).mkdir(parents=True)
    in_vain = await log_in(home, fake, fake.bot.password)
    assert (in_vain.code, "cannot store" in in_vain.errors) == (1, True), in_vain
    made = len(fake.server.calls_to("POST", "*/login"))
    assert len(fake.server.calls_to("POST", "*/logout")) == made == 1
    (home.directory / "file").touch()
    home.env["XDG_STATE_HOME"] = str(home.directory / "file")
    too_early = await log_in(home, fake, fake.bot.password)
    assert (too_early.code, "may not be written to" in too_early.errors) == (1, True), too_early
    assert len(fake.server.calls_to("POST", "*/login")) == made


async def test_a_place_that_cannot_be_looked_at_is_no_reason_for_a_traceback(home: Home) -> None:
    done = await home.run("logout", "matrix", "--state-dir", "x" * 300)
    assert (done.code, "File name too long" in done.errors) == (1, True), done
    assert "Traceback" not in done.errors


@pytest.mark.parametrize(
    ("flags", "stdin", "told"),
    [
        ("", b"", "give --password-stdin or --token-stdin, --homeserver-url, --user-id"),
        ("--password-stdin", b"x", "give --homeserver-url, --user-id"),
        ("--password-stdin --token-stdin", b"x", "not allowed with"),
        (f"--password-stdin --homeserver-url {NOBODY} --user-id @a:b", b"\n", "is empty"),
        (f"--password-stdin --homeserver-url {NOBODY} --user-id @a:b", b"a\nb\n", "one line"),
        (f"--token-stdin --homeserver-url {NOBODY} --user-id @a:b", b"\xff", "not UTF-8"),
        (f"--token-stdin --homeserver-url {NOBODY} --user-id @a:b", b"x" * 9999, "longer than"),
    ],
)
async def test_what_cannot_be_used_is_said_before_anybody_is_asked(
    home: Home, flags: str, stdin: bytes, told: str
) -> None:
    done = await home.run("login", "matrix", *flags.split(), stdin=stdin)
    assert (done.code, told in done.errors) == (2, True), done
    assert not home.state_dir.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "[1:2:3]"])
async def test_who_sends_it_unencrypted_to_another_machine_is_warned(home: Home, host: str) -> None:
    server = ["--homeserver-url", f"http://{host}:1", "--user-id", "@a:b"]
    done = await home.run("login", "matrix", "--token-stdin", *server, stdin="x")
    warned = "warning  http://0.0.0.0:1 is not encrypted" in done.errors.partition("cannot")[0]
    assert (done.code, warned) == (1, host == "0.0.0.0"), done


async def test_a_token_that_a_server_repeats_is_not_shown(home: Home, fake: FakeMatrixRoom) -> None:
    token = fake.bot.access_token
    said = refuse(418, "M_ODD", f"you said {token}")
    fake.server.fail("*", "*/whoami", said, times=None)
    fake.server.fail("*", "*/logout", said, times=None)
    given = await home.run("login", "matrix", "--token-stdin", *account(fake), stdin=token)
    login_file(home).parent.mkdir(parents=True)
    login_file(home).write_text(token)
    found = await home.run("init", "--connector", "matrix", *words(fake.settings), "--yes")
    ended = await home.run("logout", "matrix", *account(fake))
    for done in (given, found, ended):
        assert (done.code, "you said ***" in done.errors, token in done.errors) == (1, True, False)


def words(settings: Mapping[str, str]) -> list[str]:
    flags = [("--" + name.replace("_", "-"), value) for name, value in settings.items()]
    return [word for flag in flags for word in flag]


async def test_a_login_that_is_malformed_can_only_be_forgotten(home: Home) -> None:
    login_file(home).parent.mkdir(parents=True)
    login_file(home).write_text("{")
    server = ["--homeserver-url", NOBODY, "--user-id", "@a:b"]
    done = await home.run("logout", "matrix", *server)
    assert (done.code, "remove it here only, with --forget" in done.errors) == (1, True), done


async def test_logging_out_ends_the_token_and_twice_is_once(home: Home, room: Room) -> None:
    assert (await log_in(home, room, room.bot.password)).code == 0
    token = stored(home)["access_token"]
    assert await whoami(room, token) == 200
    done = await home.run("logout", "matrix", *account(room))
    assert (done.code, f"removed the login in {login_file(home)}" in done.out) == (0, True), done
    assert await whoami(room, token) == 401
    again = await home.run("logout", "matrix", env={"MATRIX_ACCESS_TOKEN": "x"})
    assert (again.code, "nothing is stored" in again.out) == (0, True), again
    assert "$MATRIX_ACCESS_TOKEN has a secret still" in again.errors


async def test_programs_are_told_what_was_done_and_no_secret(
    home: Home, fake: FakeMatrixRoom
) -> None:
    command = ["login", "matrix", "--password-stdin", "--json", *account(fake)]
    done = await home.run(*command, stdin=fake.bot.password)
    login, path = stored(home), str(login_file(home))
    assert json.loads(done.out) == {
        "kind": "matrix",
        "user": fake.bot.user_id,
        "device_id": login["device_id"],
        "path": path,
        "next": None,
    }
    for removed in (True, False):
        done = await home.run("--json", "logout", "matrix")
        assert json.loads(done.out) == {"kind": "matrix", "removed": removed, "path": path}


async def test_a_login_is_for_one_homeserver_whatever_the_roster_says_later(
    home: Home, fake: FakeMatrixRoom, conduit: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(kind="matrix", **fake.settings)
    there = ["--roster", str(daemon.roster), "--state-dir", str(daemon.state_dir)]
    command = ["login", "matrix", "--password-stdin", *there]
    done = await home.run(*command, *account(conduit), stdin=conduit.bot.password)
    assert done.code == 0, done
    path = daemon.state_dir / "logins" / "matrix_access_token.json"
    login = json.loads(path.read_text())
    assert login["servers"] == [conduit.server.base_url]
    elsewhere = "https://matrix.example.org"  # where that homeserver had stood, off this machine
    path.write_text(json.dumps(login | {"servers": [elsewhere]}))
    await daemon.start()
    health = await daemon.api.wait_health(lambda health: health["status"] == "down")
    mismatch = f"it is for {elsewhere}, the roster names {fake.server.base_url}"
    assert mismatch in health["connector"]["detail"]
    for look in (["doctor"], ["init", *words(fake.settings | {"room_id": "!another"}), "--yes"]):
        looked = await home.run(*look, *there)
        assert (looked.code, mismatch in looked.out + looked.errors) == (1, True), looked
    done = await home.run(*command, stdin=fake.bot.password)
    assert f"before, for {elsewhere}, is good there still" in done.errors, done
    assert (await daemon.api.reload()).status == 200
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])
    assert login["access_token"] not in {call.token for call in fake.server.calls}


async def test_logging_out_needs_no_roster_and_goes_where_the_login_is_from(
    home: Home, fake: FakeMatrixRoom, conduit: FakeMatrixRoom
) -> None:
    assert (await log_in(home, conduit, conduit.bot.password)).code == 0
    token = stored(home)["access_token"]
    home.roster.parent.mkdir(parents=True)
    write_roster(home.roster, "matrix", **fake.settings)
    assert (await home.run("logout")).code == 0
    assert [call.token for call in conduit.server.calls_to("POST", "*/logout")] == [token]
    assert fake.server.calls == []
    assert (await log_in(home, conduit, conduit.bot.password)).code == 0
    home.roster.unlink()
    assert (await home.run("logout", "matrix")).code == 0


async def test_a_login_that_cannot_be_ended_stays_unless_it_is_to_be_forgotten(
    home: Home, fake: FakeMatrixRoom
) -> None:
    assert (await log_in(home, fake, fake.bot.password)).code == 0
    await fake.server.stop()
    done = await home.run("logout", "matrix", *account(fake))
    assert (done.code, "--forget" in done.errors) == (1, True), done
    login_file(home).write_text(json.dumps(stored(home) | {"servers": []}))
    unknown = await home.run("logout", "matrix")
    assert (unknown.code, "give --homeserver-url, --user-id" in unknown.errors) == (2, True)
    assert stored(home)["access_token"]
    assert (await home.run("logout", "matrix", "--forget")).code == 0
    assert not login_file(home).exists()


async def test_a_login_that_was_renewed_while_it_was_ended_is_ended_too(
    home: Home, fake: FakeMatrixRoom
) -> None:
    assert (await log_in(home, fake, fake.bot.password)).code == 0
    hold = fake.server.hold("POST", "*/logout")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(home.run("logout", "matrix", *account(fake)))
        await hold.reached()
        renewed = stored(home) | {"access_token": "renewed-by-a-daemon", "refresh_token": None}
        login_file(home).write_text(json.dumps(renewed))
        hold.release()
    assert running.result().code == 0
    tokens = [call.token for call in fake.server.calls_to("POST", "*/logout")]
    assert tokens[-1] == "renewed-by-a-daemon"
    assert not login_file(home).exists()


async def test_a_daemon_renews_nothing_while_somebody_logs_in_anew(
    home: Home, fake: FakeMatrixRoom
) -> None:
    assert (await log_in(home, fake, fake.bot.password)).code == 0
    hold = fake.server.hold("POST", "*/login")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(log_in(home, fake, fake.bot.password))
        await hold.reached()
        assert await _exchange_is_held(home.state_dir)
        hold.release()
    assert running.result().code == 0
    assert not await _exchange_is_held(home.state_dir)


async def _exchange_is_held(state_dir: Path) -> bool:
    """Whether a daemon that wants to renew would have to wait."""
    try:
        async with asyncio.timeout(0.1), exchange(state_dir):
            return False
    except TimeoutError:
        return True


async def test_at_a_terminal_what_is_missing_is_asked_for_and_not_shown(
    home: Home, tmux: Tmux, fake: FakeMatrixRoom
) -> None:
    person = await Person.types(home, tmux, "fleetchat login matrix")
    await person.answers("? homeserver_url:", fake.settings["homeserver_url"])
    await person.answers("? user_id:", fake.bot.user_id)
    await person.reads(f"user_id: {fake.bot.user_id}", times=2)
    await person.chooses("Log in to the bot's account", "with its password")
    await person.answers("? Password:", fake.bot.password)
    assert fake.bot.password not in await person.sees_it_end(0)
    assert stored(home)["access_token"]
    piped = Person(person.pane)
    command = " ".join(["fleetchat login matrix --password-stdin", *account(fake)])
    await piped.pane.submit(f"clear; {command}; echo ended with $?")
    await piped.answers("Password:", fake.bot.password)
    assert fake.bot.password not in await piped.sees_it_end(0)


async def test_a_discord_bot_logs_in_by_its_token_and_by_nothing_else(
    home: Home, discord: FakeDiscord
) -> None:
    fleet = discord.furnish()
    command = ["login", "discord", "--api-url", discord.api_url]
    refused = await home.run(*command, "--token-stdin", stdin="MTIz.wrong.token")
    assert (refused.code, "refused" in refused.errors) == (1, True), refused
    no_password = await home.run(*command, "--password-stdin", stdin="x")
    assert (no_password.code, "use --token-stdin" in no_password.errors) == (2, True)
    env = {"DISCORD_BOT_TOKEN": "another"}
    done = await home.run(*command, "--token-stdin", stdin=fleet.bot.token, env=env)
    assert (done.code, "$DISCORD_BOT_TOKEN comes before" in done.errors) == (0, True), done
    assert stored(home, "discord_bot_token")["access_token"] == fleet.bot.token
    out = await home.run("logout", "discord")
    assert (out.code, "Reset Token" in out.errors) == (0, True), out
    assert not login_file(home, "discord_bot_token").exists()


async def test_a_login_is_stored_where_the_daemon_with_that_roster_finds_it(
    home: Home, fake: FakeMatrixRoom, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon()
    await daemon.start()
    there = ["--socket", str(daemon.socket)]
    same = [*there, "--roster", str(daemon.roster)]
    command = ["login", "matrix", "--password-stdin", *account(fake)]
    done = await home.run(*command, *same, stdin=fake.bot.password)
    assert f"stored in {daemon.state_dir}/" in done.out
    assert f"next: fleetchat reload --socket {daemon.socket}" in done.out
    out = await home.run("logout", "matrix", *account(fake), *same)
    assert f"removed the login in {daemon.state_dir}/" in out.out
    other = await home.run(*command, *there, stdin=fake.bot.password)
    assert (other.code, "next:" in other.out, login_file(home).exists()) == (0, False, True), other
    assert f"add --state-dir {daemon.state_dir}" in other.errors


async def test_without_a_kind_it_is_the_rosters(home: Home, discord: FakeDiscord) -> None:
    fleet = discord.furnish()
    nothing = await home.run("login", "--token-stdin", stdin=fleet.bot.token)
    assert (nothing.code, "names none; name its KIND" in nothing.errors) == (2, True), nothing
    home.roster.parent.mkdir(parents=True)
    write_roster(home.roster, "discord", **fleet.settings)
    assert (await home.run("login", "--token-stdin", stdin=fleet.bot.token)).code == 0
    assert stored(home, "discord_bot_token")["access_token"] == fleet.bot.token
    assert (await home.run("logout")).code == 0
    write_roster(home.roster, "tmux")
    needless = await home.run("login", "--token-stdin", stdin=fleet.bot.token)
    assert (needless.code, "tmux: it has no logins; it needs none" in needless.errors) == (1, True)


async def test_somebody_elses_token_is_refused(home: Home, room: Room) -> None:
    token = room.human.account.access_token
    command = ["login", "matrix", "--token-stdin", *account(room)]
    done = await home.run(*command, stdin=token)
    assert (done.code, room.human.user_id in done.errors) == (1, True), done
    assert token not in done.errors
    assert (await home.run(*command, stdin=room.bot.access_token)).code == 0


async def test_ctrl_c_at_the_question_for_a_password_ends_it_at_once(
    home: Home, tmux: Tmux
) -> None:
    command = f"login matrix --password-stdin --homeserver-url {NOBODY} --user-id @a:b"
    person = await Person.types(home, tmux, f"fleetchat {command}")
    await person.presses("Password:", "C-c")
    await person.sees_it_end(130)
