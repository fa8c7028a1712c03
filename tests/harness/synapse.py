"""A real Synapse on loopback that a test can start, stop, kill, hang and start again."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os
import secrets
import signal
from pathlib import Path
from typing import Any

import aiohttp

from tests.harness import matrix_http, synapse_config
from tests.harness.child import Child
from tests.harness.human import Account, Human
from tests.harness.matrix_http import path
from tests.harness.ports import Port
from tests.harness.synapse_install import ensure_installed
from tests.harness.waiting import eventually

_REGISTER = "/_synapse/admin/v1/register"


class Synapse:
    """One homeserver with its own directory; everything in it survives its restarts.

    It is bound to no event loop. Every option that Synapse knows can be set, for example
    `rc_message={"per_second": 2, "burst_count": 3}` or `refreshable_access_token_lifetime="2s"`.
    """

    server_name = synapse_config.SERVER_NAME

    def __init__(self, directory: Path, **settings: Any) -> None:
        self._directory = directory
        self._settings = settings
        self._secret = secrets.token_hex(16)
        self._port = Port()
        self._names = itertools.count(1)
        self._admin: Account | None = None
        self._child = Child("Synapse", directory / "synapse.log")

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT`, the same over all restarts."""
        return self._port.base_url

    @property
    def log_text(self) -> str:
        return self._child.log_text()

    # Life and death

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start it, or start it again on the same data, and wait until it answers.

        Raises:
            AssertionError: it does not come up; the text shows the end of its log.
        """
        self._spawn()
        await eventually("Synapse answering", self._answers, timeout_s=timeout_s)

    async def stop(self) -> None:
        """Stop it in order."""
        await self._child.end(signal.SIGTERM)

    async def kill(self) -> None:
        """Kill it where it stands (SIGKILL)."""
        await self._child.end(signal.SIGKILL)

    async def restart(self, **settings: Any) -> None:
        """Stop it and start it again, with `settings` changed."""
        self._settings |= settings
        await self.stop()
        await self.start()

    def suspend(self) -> None:
        """Hang it: it accepts connections and never answers, until `resume`."""
        self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """End it for good, whatever state it is in."""
        if self._child.running:
            await self.kill()
        self._port.close()

    def _spawn(self) -> None:
        python = ensure_installed()
        config = synapse_config.write(
            self._directory, self._port.number, self._secret, self._settings
        )
        command = [str(python), "-m", "synapse.app.homeserver", "-c", str(config)]
        self._child.spawn(command, os.environ, self._directory)

    async def _answers(self) -> bool:
        if not self._child.running:
            raise self._child.failure(f"ended at its start ({self._child.returncode})")
        try:
            answer = await matrix_http.ask(self.base_url, "GET", "/_matrix/client/versions")
        except aiohttp.ClientError:
            return False
        return answer.status == 200

    # Accounts

    async def register(self, name: str | None = None, *, admin: bool = False) -> Account:
        """Make a user, by default with a name that nobody has yet; it is logged in once."""
        name = name or f"user{next(self._names)}-{secrets.token_hex(3)}"
        password = secrets.token_hex(8)
        nonce = (await self._demand("GET", _REGISTER))["nonce"]
        signed = [nonce, name, password, "admin" if admin else "notadmin"]
        mac = hmac.new(self._secret.encode(), "\0".join(signed).encode(), hashlib.sha1)
        body = {"nonce": nonce, "username": name, "password": password, "admin": admin}
        answer = await self._demand("POST", _REGISTER, body | {"mac": mac.hexdigest()})
        return _account(answer, password)

    async def human(self, name: str | None = None) -> Human:
        """A new user as a scripted client, never rate-limited."""
        account = await self.register(name)
        where = f"/_synapse/admin/v1/users/{account.user_id}/override_ratelimit"
        await self._as_admin("POST", where, {"messages_per_second": 0, "burst_count": 0})
        return Human(self.base_url, account)

    async def login(
        self, account: Account, *, device_id: str | None = None, refresh_token: bool = False
    ) -> Account:
        """Log in once more, on a new device unless `device_id` says which."""
        body: dict[str, Any] = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": account.user_id},
            "password": account.password,
            "refresh_token": refresh_token,
        }
        if device_id is not None:
            body["device_id"] = device_id
        return _account(await self._demand("POST", path("login"), body), account.password)

    async def logout(self, account: Account) -> None:
        """End this login: its token is refused from now on, `soft_logout: false`."""
        await Human(self.base_url, account).logout()

    async def delete_device(self, account: Account) -> None:
        """End this login from the admin's side."""
        where = f"/_synapse/admin/v2/users/{account.user_id}/devices/{account.device_id}"
        await self._as_admin("DELETE", where)

    async def _as_admin(self, method: str, where: str, body: object = None) -> Any:
        if self._admin is None:
            self._admin = await self.register(admin=True)
        token = self._admin.access_token
        return await matrix_http.demand(self.base_url, method, where, body, token=token)

    async def _demand(self, method: str, where: str, body: object = None) -> Any:
        return await matrix_http.demand(self.base_url, method, where, body)


def _account(answer: Any, password: str) -> Account:
    return Account(
        user_id=answer["user_id"],
        password=password,
        access_token=answer["access_token"],
        device_id=answer["device_id"],
        refresh_token=answer.get("refresh_token"),
        expires_in_ms=answer.get("expires_in_ms"),
    )
