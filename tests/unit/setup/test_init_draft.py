from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetchatd.client.errors import UsageError
from fleetchatd.connectors import registry
from fleetchatd.connectors.base import Context
from fleetchatd.connectors.guide import Credential, Finding, Login, Settings
from fleetchatd.connectors.memory import MemoryConnector
from fleetchatd.errors import SecretError
from fleetchatd.model import Secret
from fleetchatd.secrets import read_secret, store_login
from fleetchatd.setup import credentials, interview, prompts
from fleetchatd.setup.draft import Draft
from fleetchatd.setup.look import Look
from fleetchatd.setup.present import Present

SCHEMA = {
    "type": "object",
    "required": ["room", "server"],
    "properties": {name: {"type": "string"} for name in ("room", "server", "colour")},
}
NAME = "pigeon_token"


class Guide:
    """Has accounts and rooms; finds what it was told to find, and remembers who was logged out."""

    login_settings = ("server",)
    ways = ("password", "token")

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.ended: list[str] = []

    async def examine(self, settings: Settings, context: Context) -> AsyncIterator[Finding]:
        for finding in self.found:
            yield finding

    async def login(
        self, settings: Settings, credential: Credential, earlier: Secret | None
    ) -> Login:
        return Login(Secret(f"token for {credential.value}"), "mos")

    async def logout(self, settings: Settings, secret: Secret) -> None:
        self.ended.append(secret.value)

    async def make_room(
        self, settings: Settings, invite: Sequence[str], context: Context
    ) -> Settings:
        return {"room": "new"}


class Pigeon(MemoryConnector):
    settings_schema = SCHEMA
    secrets = (NAME,)
    guide: Guide


MakeDraft = Callable[..., Draft]


@pytest.fixture
def guide(monkeypatch: pytest.MonkeyPatch) -> Guide:
    made = Guide()
    monkeypatch.setattr(Pigeon, "guide", made, raising=False)
    monkeypatch.setattr(registry, "connector_class", lambda _: Pigeon)
    monkeypatch.setattr(registry, "settings_schema", lambda _: SCHEMA)
    monkeypatch.setattr(registry, "secret_names", lambda _: (NAME,))
    monkeypatch.delenv(NAME.upper(), raising=False)
    return made


@pytest.fixture
def draft_of(tmp_path: Path) -> MakeDraft:
    def make(there: Mapping[str, Any] | None = None, **given: Any) -> Draft:
        present = Present("r.yaml", kind="pigeon", blocks={"pigeon": there or {}})
        return Draft("pigeon", present, given, str(tmp_path))

    return make


def test_what_a_login_needs_is_asked_for_first(guide: Guide, draft_of: MakeDraft) -> None:
    assert draft_of().missing() == ["server", "room"]
    assert draft_of({"server": "a"}).missing() == ["room"]
    assert draft_of({"server": "a"}, room="b").changes() == {"room": "b"}


def test_a_new_block_has_the_order_of_the_schema(guide: Guide, draft_of: MakeDraft) -> None:
    assert list(draft_of(server="a", room="b").changes()) == ["room", "server"]


async def test_a_room_is_made_only_where_the_account_has_none(
    guide: Guide, draft_of: MakeDraft
) -> None:
    there = {"server": "a", "room": "b"}
    assert draft_of(server="a").lacks_room()
    assert not draft_of(there).lacks_room()
    assert not draft_of(there, server="a").lacks_room()  # the same command once more
    moved = draft_of(there, server="elsewhere")
    assert moved.lacks_room()
    moved.have_room_made(["ann"])
    assert (moved.missing(), "room" in moved.settings) == ([], False)
    await moved.make_room()
    assert moved.changes() == {"server": "elsewhere", "room": "new"}


async def test_a_login_is_used_at_once_and_stored_when_everything_is_known(
    guide: Guide, draft_of: MakeDraft, tmp_path: Path
) -> None:
    draft = draft_of(server="a")
    assert draft.secret_finding() is not None
    await draft.log_in(Credential("password", "x"))
    assert draft.secret_finding() is None
    draft.context.store_secret(NAME, Secret("renewed"))  # as a guide does that finds it expired
    with pytest.raises(SecretError):
        read_secret(NAME, tmp_path)
    await draft.store_login()
    assert read_secret(NAME, tmp_path).value == "renewed"
    await draft.forget()
    assert guide.ended == []


async def test_a_stored_login_that_is_renewed_is_stored_at_once(
    guide: Guide, draft_of: MakeDraft, tmp_path: Path
) -> None:
    store_login(NAME, tmp_path, Secret("old"))
    draft_of(server="a").context.store_secret(NAME, Secret("renewed"))
    assert read_secret(NAME, tmp_path).value == "renewed"


@pytest.mark.parametrize(("way", "ended"), [("password", ["token for x"]), ("token", [])])
async def test_who_stops_ends_the_login_that_was_made_and_no_token_that_was_given(
    guide: Guide, draft_of: MakeDraft, way: Any, ended: list[str]
) -> None:
    draft = draft_of(server="a")
    await draft.log_in(Credential(way, "x"))
    await draft.forget()
    assert guide.ended == ended


async def test_only_errors_about_what_is_known_stand_in_the_way(
    guide: Guide, draft_of: MakeDraft, capsys: pytest.CaptureFixture[str]
) -> None:
    stands = Finding("error", "no such server", "try another", "server")
    guide.found = [
        Finding("ok", "all is well"),
        Finding("warning", "it rains"),
        Finding("error", "there is no room", "name one", "room"),
        Finding("error", "there is no secret", "log in", NAME),
        Finding("ok", "one may log in", None, NAME),
        stands,
    ]
    look = Look(draft_of(server="a"), with_oks=False)
    assert await look.errors() == [stands]
    assert capsys.readouterr().err.splitlines() == [
        "warning  it rains",
        "error    no such server; try another",
    ]
    await look.errors()
    assert capsys.readouterr().err == "error    no such server; try another\n"


async def test_another_account_ends_the_login_that_was_made_to_the_first(
    guide: Guide, draft_of: MakeDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = draft_of({"room": "b"})
    answers = iter(["first", "password", "x", "second", "later"])

    async def ask(*_: object) -> str:
        answer = next(answers)
        if answer == "second":
            guide.found = []
        return answer

    async def choose(_: str, steps: Mapping[str, Any]) -> Any:
        wanted = await ask()
        if wanted == "password":  # it turns out to be another account's
            guide.found = [Finding("error", "that is somebody else", "name them", "server")]
        return next(step for words, step in steps.items() if wanted in words)

    monkeypatch.setattr(prompts, "ask", ask)
    monkeypatch.setattr(prompts, "ask_hidden", ask)
    monkeypatch.setattr(prompts, "choose", choose)
    await interview.Interview(draft, Look(draft, with_oks=False)).run()
    assert draft.settings == {"room": "b", "server": "second"}
    assert guide.ended == ["token for x"]
    assert await draft.store_login() is None


@given(st.binary(max_size=40))
def test_standard_input_is_one_line_of_text_or_refused(raw: bytes) -> None:
    async def read() -> str:
        return credentials.read("password").value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        try:
            value = asyncio.run(read())
        except UsageError:
            assert not raw.strip(b"\r\n") or b"\n" in raw[:-1] or not raw.isascii()
        else:
            assert value
            assert value.encode() == raw.removesuffix(b"\n").removesuffix(b"\r")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("@a:x, @b:x", ["@a:x", "@b:x"]),
        ("@a:x,'@b:x',@c:x #1", ["@a:x", "@b:x", "@c:x", "#1"]),
        ("'@a:x' \"b c\"", ["@a:x", "b c"]),
        ("it's,so", ["it's", "so"]),
        (" , ", []),
    ],
)
def test_a_list_is_typed_as_people_type_one(typed: str, words: list[str]) -> None:
    assert interview.words_in(typed) == words


def test_an_answer_is_refused_in_the_words_of_a_roster() -> None:
    schema = registry.settings_schema("matrix")["properties"]
    room = interview.understood("matrix", "room_id", "'!a:b'", schema["room_id"])
    assert room == ("!a:b", None)
    _, problem = interview.understood("matrix", "room_id", "a", schema["room_id"])
    assert problem is not None
    assert problem.startswith("is not valid (give a room id such as '!abc:example.org'")
    _, nothing = interview.understood("matrix", "allowed_senders", " ", schema["allowed_senders"])
    assert nothing is not None
    assert nothing.startswith("nothing was typed (give a list of Matrix user ids")
