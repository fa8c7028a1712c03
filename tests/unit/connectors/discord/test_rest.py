"""The way to Discord: proxies, and what is said of a way that fails."""

from __future__ import annotations

import pytest

from fleetchatd.connectors.discord.rest import Refused, Rest, Unreachable
from fleetchatd.connectors.network import proxy_for

API = "https://discord.com/api/v10"


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "discord.com"}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, None),
    ],
)
def test_the_proxy_is_the_environments(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], proxy: str | None
) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(API) == proxy


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("http://us er:Geheimnis@::bad::", "mend $HTTPS_PROXY"),
        ("http://ann:Geheimnis@127.0.0.1:9", "the way to the proxy"),
    ],
)
async def test_a_proxy_that_does_not_work_is_named_and_its_password_is_not(
    monkeypatch: pytest.MonkeyPatch, proxy: str, says: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(Unreachable) as error:
        await Rest.sign_in("https://discord.invalid/api/v10", "token")
    assert says in str(error.value)
    assert "Geheimnis" not in str(error.value)


@pytest.mark.parametrize(
    ("refusal", "final", "says"),
    [
        (Refused(403, 50013, "Missing Permissions"), True, "403 Missing Permissions (50013)"),
        (Refused(403, 0, ""), False, "Discord answered 403"),
        (Refused(401, 0, "401: Unauthorized"), False, "Discord answered 401 401: Unauthorized"),
        (Refused(429, 20028, "slower"), False, "(20028)"),
        (Refused(500, 50000, "oh"), False, "500 oh (50000)"),
    ],
)
def test_only_what_discord_itself_refuses_is_refused_for_good(
    refusal: Refused, final: bool, says: str
) -> None:
    assert refusal.final is final
    assert says in str(refusal)
