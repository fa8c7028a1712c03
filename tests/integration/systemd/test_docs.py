"""What the documents say to type does what they say."""

from __future__ import annotations

import re

from tests.fakes import faults
from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.documents import tested_blocks
from tests.harness.systemd_lab import USER
from tests.harness.systemd_service import SystemService, UserService
from tests.harness.waiting import eventually


async def ask(service: SystemService, query: str, **words: str) -> str:
    """Type a query of the documents, with its variables set; it must find something."""
    settings = [f"{name}={value}" for name, value in words.items()]
    typed = query.replace("journalctl ", "journalctl --no-pager --quiet ", 1)
    answer = await service.lab.run("env", *settings, "sh", "-c", typed)
    assert answer, f"{query} finds nothing"
    return answer


async def eventful_life(service: SystemService, fake: FakeMatrixRoom) -> tuple[str, str]:
    """One of everything that is asked for; gives a message's id and its thread's."""
    await service.make_hangable()
    await service.speak_in(fake)
    await service.start()
    await service.api.wait_health(lambda health: health["connector"]["receiving"])
    fake.server.fail("PUT", "*/send/*", faults.refuse(413, "M_TOO_LARGE", "too much"))
    await service.fleetchat("send", "--wait", "10", "not this one", code=1)
    thread = await fake.human.say("a thread")
    fake.server.fail("PUT", "*/send/*", faults.html(502))
    sent = await service.fleetchat("send", "--wait", "20", "--thread", thread, "hello")
    await service.configure("memory", ecko=True)
    await service.systemctl("reload", "fleetchatd", code=1)
    await service.configure("matrix", **fake.settings)
    await service.hang()
    await service.restarted(1)
    return sent.strip(), thread


async def test_the_ten_questions_have_answers(system: SystemService, fake: FakeMatrixRoom) -> None:
    queries = tested_blocks("test_the_ten_questions_have_answers")
    assert len(queries) == 10
    message_id, thread = await eventful_life(system, fake)
    await system.lab.run("journalctl", "--sync")
    words = {"ID": message_id, "THREAD": thread, "SENDER": "0"}
    answers = [await ask(system, query, **words) for query in queries]
    expected = [
        r"(?s)message accepted.*cannot send yet.*message delivered \(.*attempts: 2",
        r'"FLEETCHAT_PEER_UID":"0"',
        r"message accepted.*peer_uid: 0",
        r"message failed.*too much",
        rf"message delivered.*{re.escape(thread)}",
        r"the connector is ok.*",
        r"cannot reload the roster: .*ecko",
        r"code=(killed|dumped), status=6/ABRT",
        r"the_loop_is_stuck_here",
        r"fleetchatd is ready",
    ]
    for query, pattern, answer in zip(queries, expected, answers, strict=True):
        assert re.search(pattern, answer), f"{query}\n{answer}"
    assert "not this one" not in "".join(answers)


async def test_systemd_takes_the_socket_over_from_a_daemon_that_runs(system: SystemService) -> None:
    await system.start()
    (typed,) = tested_blocks("test_systemd_takes_the_socket_over_from_a_daemon_that_runs")
    await system.lab.run("sh", "-ec", typed)
    assert await system.show("TriggeredBy") == "fleetchatd.socket"
    await system.stop()
    assert system.lab.path(system.socket).exists()
    await system.fleetchat("send", "hello")
    await system.systemctl("disable", "fleetchatd.socket", "fleetchatd.service")


async def test_an_agents_unit_finds_the_daemon_ready(user: UserService) -> None:
    drop_in, follower = tested_blocks("test_an_agents_unit_finds_the_daemon_ready")
    (user.lab.path(user.units) / "mosaic-agent@.service").write_text(
        "[Service]\nType=oneshot\nExecStart=/usr/local/bin/fleetchat send 'agent %i is up'\n"
    )
    (user.lab.path(user.units) / "on-message.service").write_text(
        follower.replace("%h/.local/bin/", "/usr/local/bin/").replace(
            "%h/bin/on-message", "'cat >%h/heard'"
        )
    )
    await user.configure("memory", echo=True)
    await user.drop_in(drop_in, "mosaic-agent@.service")
    await user.systemctl("start", "on-message.service")

    async def follows() -> bool:
        return any(one["connected"] for one in await user.api.subscribers())

    await eventually("the program's subscription", follows)
    await user.systemctl("start", "mosaic-agent@builder.service")
    (sent,) = await user.api.history(direction="out")
    assert sent["text"] == "agent builder is up"
    heard = user.lab.path(f"/home/{USER}/heard")

    async def said() -> bool:
        return heard.exists() and "agent builder is up" in heard.read_text()

    await eventually("the echo handed to the program", said)
    await user.systemctl("stop", "on-message.service")


async def test_a_users_daemon_is_set_up_as_the_documents_say(user: UserService) -> None:
    await user.remove()
    (typed,) = tested_blocks("test_a_users_daemon_is_set_up_as_the_documents_say")
    # No login manager asks for a password here: who is logged in may do this to oneself.
    mine, linger = typed.split("loginctl")
    await user.lab.run("sh", "-ec", mine, user=USER)
    await user.lab.run("sh", "-ec", f"loginctl{linger.replace('linger', f'linger {USER}', 1)}")
    assert await user.show("UnitFileState") == "enabled"
    assert await user.show("ActiveState") == "active"
    assert user.lab.path(f"/var/lib/systemd/linger/{USER}").exists()
    await user.systemctl("disable", "fleetchatd.service")


async def test_the_systems_daemon_is_set_up_as_the_documents_say(system: SystemService) -> None:
    await system.remove()
    (typed,) = tested_blocks("test_the_systems_daemon_is_set_up_as_the_documents_say")
    await system.lab.run("sh", "-ec", typed)
    assert await system.show("UnitFileState") == "enabled"
    assert await system.show("ActiveState") == "active"
    await system.systemctl("disable", "fleetchatd.service")


async def test_the_relay_is_a_service_as_the_documents_say(user: UserService) -> None:
    typed, other_place = tested_blocks("test_the_relay_is_a_service_as_the_documents_say")
    home = user.lab.path(f"/home/{USER}")
    (home / "agent.py").write_text(tested_blocks("test_the_guide_works")[0])
    await user.configure("memory", echo=True)
    await user.start()
    for server in ("mosaic-fleet", "default"):
        start = f"tmux -L {server} new-session -d -s mos python3 /home/{USER}/agent.py"
        await user.lab.run("sh", "-ec", start, user=USER)
    try:
        await user.lab.run("sh", "-ec", typed, user=USER)
        await answers(user, "mos", "hello")
        (home / ".config/fleetchatd").mkdir(exist_ok=True)
        (home / ".config/fleetchatd/relay-mos.env").write_text(other_place.replace("%3", "%0"))
        await user.systemctl("restart", "fleetchat-relay@mos")
        await answers(user, "orchestrator", "hello again")
    finally:
        await user.systemctl("disable", "--now", "fleetchat-relay@mos")
        for server in ("mosaic-fleet", "default"):
            await user.lab.run("tmux", "-L", server, "kill-server", user=USER)


async def answers(user: UserService, subscriber: str, words: str) -> None:
    """Wait for the relay; say something; the agent in the pane answers."""

    async def waits() -> bool:
        return any(
            one["name"] == subscriber and one["connected"] for one in await user.api.subscribers()
        )

    async def answered() -> bool:
        said = [one["text"] for one in await user.api.history(direction="out")]
        return f"got: {words}" in said

    await eventually("the relay's subscription", waits)
    await user.api.send(words)
    await eventually("the agent's answer", answered)
