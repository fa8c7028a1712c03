"""`fleetchat init` as a person uses it: typed in a real terminal, against real servers."""

from __future__ import annotations

from fleetchatd.roster import load_roster
from tests.fakes.discord.server import FakeDiscord
from tests.harness.home import Home
from tests.harness.human import Human
from tests.harness.matrix_http import path
from tests.harness.person import Person
from tests.harness.rooms import MakeDaemon, Room
from tests.harness.synapse import Synapse
from tests.harness.tmux import Tmux

LOG_IN = "Log in to the bot's account"
BY_PASSWORD = "with its password"


async def test_a_person_with_nothing_is_led_to_a_matrix_room_past_every_mistake(
    home: Home, tmux: Tmux, synapse: Synapse, make_daemon: MakeDaemon
) -> None:
    bot, ann = await synapse.register(), await synapse.human()
    person = await Person.types(home, tmux, "fleetchat init")
    await person.chooses("Where do you want to talk", "matrix")
    await person.answers("? homeserver_url:", "not a url")
    await person.reads("homeserver_url: is not valid (give the homeserver's URL")
    await person.answers("? homeserver_url:", "http://127.0.0.1:1")
    await person.reads("error    cannot reach http://127.0.0.1:1")
    await person.answers("(Enter keeps http://127.0.0.1:1):", f"'{synapse.base_url}'")
    await person.answers("? user_id:", f"@nobody-of-that-name:{synapse.server_name}")
    await person.chooses(LOG_IN, BY_PASSWORD)
    await person.answers("? Password:", bot.password)
    await person.reads("the homeserver refuses the password")
    await person.chooses(LOG_IN, "first change user_id")
    await person.answers("):", bot.user_id)
    await person.chooses(LOG_IN, BY_PASSWORD)
    await person.answers("? Password:", "wrong")
    await person.reads("the homeserver refuses the password", times=2)
    await person.chooses(LOG_IN, BY_PASSWORD)
    await person.answers("? Password:", bot.password)
    await person.chooses("Which room?", "Make a private one")
    await person.answers("with blanks between them):", "ann")
    await person.reads("(give a Matrix user id such as '@mos:example.org')")
    await person.answers("with blanks between them):", ann.user_id)
    await person.reads("and write it into")
    assert list(home.directory.rglob("*.yaml")) == list(home.directory.rglob("*.json")) == []
    await person.pane.keys("Enter")
    shown = await person.sees_it_end(0)
    assert "next: fleetchat doctor" in shown
    assert bot.password not in shown

    settings = load_roster(home.roster).connector_settings
    assert settings["user_id"] == bot.user_id
    await ann.in_room(settings["room_id"]).join()
    daemon = make_daemon(kind="matrix", args=["--state-dir", str(home.state_dir)], **settings)
    await daemon.start()
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])
    assert (await daemon.api.final((await daemon.api.send("here I am"))["id"]))["state"] == (
        "delivered"
    )


async def test_a_room_that_became_encrypted_is_replaced_by_a_new_one(
    home: Home, tmux: Tmux, room: Room
) -> None:
    settings = "".join(f"    {name}: '{value}'\n" for name, value in room.settings.items())
    fleet = "version: 1\ntransport: tmux\nagents:\n  - {name: mos, runtime: claude}\n"
    home.write_roster(f"{fleet}connector:\n  kind: matrix\n  matrix:\n{settings}")
    await home.run("login", "matrix", "--token-stdin", stdin=room.bot.access_token)
    await room.human.set_state("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    person = await Person.types(home, tmux, "fleetchat init")
    await person.chooses("Which room?", "Make a private one")
    await person.answers("with blanks between them):", room.human.user_id)
    await person.reads("and write it into")
    await person.pane.keys("Enter")
    await person.sees_it_end(0)
    made = load_roster(home.roster).connector_settings["room_id"]
    assert made != room.settings["room_id"]
    await room.human.in_room(made).join()


async def test_who_stops_halfway_leaves_nothing_behind_here_nor_at_the_server(
    home: Home, tmux: Tmux, synapse: Synapse
) -> None:
    bot = await synapse.register()
    person = await Person.types(
        home,
        tmux,
        f"fleetchat init --connector matrix --homeserver-url {synapse.base_url}"
        f" --user-id {bot.user_id}",
    )
    await person.chooses(LOG_IN, BY_PASSWORD)
    await person.answers("? Password:", bot.password)
    await person.reads("logged in as")
    await person.chooses("Which room?", "I have one")
    await person.presses("? room_id:", "C-c")
    assert "stopped; nothing was written" in await person.sees_it_end(130)
    assert list(home.directory.rglob("*.yaml")) == list(home.directory.rglob("*.json")) == []
    devices = await Human(synapse.base_url, bot).ask("GET", path("devices"))
    assert [device["device_id"] for device in devices.body["devices"]] == [bot.device_id]


async def test_a_discord_channel_that_is_open_needs_to_know_who_may_speak(
    home: Home, tmux: Tmux, discord: FakeDiscord
) -> None:
    fleet = discord.furnish(closed=False)
    command = f"fleetchat init --connector discord --api-url {discord.api_url}"
    person = await Person.types(home, tmux, command)
    await person.chooses(LOG_IN, "with an access token")
    await person.answers("? Token:", "MTIz.wrong.token")
    await person.reads("cannot log in")
    await person.chooses(LOG_IN, "with an access token")
    await person.answers("? Token:", fleet.bot.token)
    await person.answers("? channel_id:", "1")
    await person.answers("(Enter keeps 1):", fleet.channel.id)
    await person.answers("? allowed_senders:", fleet.human.user.id)
    await person.presses("roster.yaml? (Y/n)", "y")
    shown = await person.sees_it_end(0)
    assert fleet.bot.token not in shown
    settings = load_roster(home.roster).connector_settings
    assert settings == fleet.settings | {"allowed_senders": [fleet.human.user.id]}


async def test_tmux_needs_no_more_than_a_yes_and_a_no_changes_nothing(
    home: Home, tmux: Tmux
) -> None:
    refusing = await Person.types(home, tmux, "fleetchat init")
    await refusing.chooses("Where do you want to talk", "tmux")
    await refusing.presses("roster.yaml? (Y/n)", "n")
    await refusing.sees_it_end(1)
    assert not home.roster.exists()
    person = Person(refusing.pane)
    await person.pane.submit("clear; fleetchat init --connector tmux; echo ended with $?")
    await person.presses("roster.yaml? (Y/n)", "Enter")
    await person.sees_it_end(0)
    assert load_roster(home.roster).connector_kind == "tmux"


async def test_keys_that_no_question_knows_stop_it_or_do_nothing(home: Home, tmux: Tmux) -> None:
    person = await Person.types(home, tmux, "fleetchat init")
    await person.pane.until("choices", lambda shown: "(Use arrow keys)" in shown)
    await person.presses("memory", "C-d")
    assert "stopped; nothing was written" in await person.sees_it_end(1)
    await person.pane.submit("clear; fleetchat init --connector matrix; echo ended with $?")
    await person.pane.shows("? homeserver_url:")
    await person.pane.paste("\x1b[31mred\x1b[0m\x1b[<0;1M://")  # colours, and a mouse
    await person.presses("://", "C-a")
    await person.pane.keys("C-d", "C-e")  # an editor's keys
    await person.answers("://", "")
    shown = await person.pane.shows("homeserver_url: is not valid")
    assert "Traceback" not in shown
    assert "Unhandled" not in shown
    await person.presses("? homeserver_url:", "C-d")
    await person.sees_it_end(1)
