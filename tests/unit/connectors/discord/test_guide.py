"""Logging in to Discord, and what is said of a channel as it was found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetchatd.connectors import registry
from fleetchatd.connectors.discord import rest
from fleetchatd.connectors.discord.checkup import place_findings
from fleetchatd.connectors.discord.guide import DiscordGuide
from fleetchatd.connectors.discord.place import HISTORY, NEEDED, SEND, VIEW, Place
from fleetchatd.connectors.guide import Credential, Guide, Login, LogsIn, MakesRoom
from fleetchatd.errors import SetupError
from fleetchatd.model import Secret
from tests.fakes import faults
from tests.fakes.discord.refusals import refuse
from tests.fakes.discord.server import FakeDiscordChannel

GUIDE = DiscordGuide()
GOOD = Place("123", "1", 0, open=False, mine=sum(NEEDED), last_message_id=None)


async def log_in(fleet: FakeDiscordChannel, token: str) -> Login:
    settings = {"api_url": fleet.server.api_url}
    return await GUIDE.login(settings, Credential("token", token), None)


def test_discord_says_how_it_can_be_set_up() -> None:
    assert isinstance(registry.guide("discord"), Guide)
    assert isinstance(registry.guide("discord"), LogsIn)
    assert not isinstance(registry.guide("discord"), MakesRoom)
    assert (GUIDE.ways, GUIDE.login_settings) == (("token",), ())


async def test_a_token_is_accepted_and_never_identifies(fleet: FakeDiscordChannel) -> None:
    login = await log_in(fleet, f"{fleet.bot.token}\n")
    assert login.secret == Secret(fleet.bot.token, servers=(fleet.server.api_url,))
    assert login.who == f"{fleet.bot.username} ({fleet.bot.id})"
    await GUIDE.logout({}, login.secret)
    assert [call.path for call in fleet.server.calls] == ["/api/v10/users/@me"]
    assert fleet.server.gateway.identifies == []


@pytest.mark.parametrize("token", ["", "Bot abc", "abc\r\nX-Evil: 1", "töken"])
async def test_what_can_be_no_token_is_not_shown_to_anybody(
    fleet: FakeDiscordChannel, token: str
) -> None:
    with pytest.raises(SetupError, match="that is no token; copy the bot's token"):
        await log_in(fleet, token)
    assert fleet.server.calls == []


async def test_a_refused_token_is_refused_with_where_to_get_one(fleet: FakeDiscordChannel) -> None:
    with pytest.raises(SetupError, match=r"the token is refused; copy .* Reset Token") as error:
        await log_in(fleet, "s3cret-token")
    assert "s3cret" not in str(error.value)


async def test_a_server_that_has_no_such_api_or_is_not_there_is_no_refusal(
    fleet: FakeDiscordChannel,
) -> None:
    fleet.server.fail("GET", "*/users/@me", refuse(404))
    with pytest.raises(SetupError, match=r"mend connector\.discord\.api_url"):
        await log_in(fleet, fleet.bot.token)
    await fleet.server.stop()
    with pytest.raises(SetupError, match="cannot log in to Discord: Connection refused; look"):
        await log_in(fleet, fleet.bot.token)


async def test_a_server_that_hangs_is_not_waited_for_for_minutes(
    fleet: FakeDiscordChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "SIGN_IN_S", 0.05)
    fleet.server.fail("GET", "*/users/@me", faults.hang())
    with pytest.raises(SetupError, match="cannot log in to Discord: no answer came in time; look"):
        await log_in(fleet, fleet.bot.token)


def test_a_channel_in_order_gives_nothing_to_do() -> None:
    assert {found.level for found in place_findings(GOOD, None)} == {"ok"}


@pytest.mark.parametrize(
    ("place", "level", "words", "about"),
    [
        (replace(GOOD, kind=2), "error", "123 is no text channel", "channel_id"),
        (replace(GOOD, mine=0), "error", "not for this bot to see", "channel_id"),
        (replace(GOOD, open=True), "error", "open to @everyone", "allowed_senders"),
        (replace(GOOD, mine=sum(NEEDED) - SEND), "error", "lacks Send Messages", None),
        (replace(GOOD, mine=VIEW | SEND), "warning", "lacks Create Public Threads", None),
        (replace(GOOD, mine=sum(NEEDED) - HISTORY), "warning", "lacks Read Message", None),
        (replace(GOOD, blank=True), "warning", "history is empty", None),
    ],
)
def test_what_is_wrong_with_a_channel_is_said_with_what_to_do(
    place: Place, level: str, words: str, about: str | None
) -> None:
    (found,) = [one for one in place_findings(place, None) if words in one.what]
    assert (found.level, found.about) == (level, about)
    assert found.remedy


def test_each_missing_permission_is_a_finding_of_its_own() -> None:
    found = list(place_findings(replace(GOOD, mine=VIEW), None))
    assert [one.level for one in found] == ["ok", "ok", "error", "warning", "warning", "warning"]


def test_what_another_server_does_not_tell_is_not_claimed() -> None:
    found = place_findings(replace(GOOD, told=False, open=True, mine=~0), ["456"])
    assert not [one for one in found if "permission" in one.what]
