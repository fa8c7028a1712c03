"""A scripted homeserver for a person: `python -m tests.fakes [--profile conduit]`.

Prints a line of JSON with its address, a human and a bot in a room; then an echo of every request.
"""

from __future__ import annotations

import argparse
import asyncio
import json

from tests.fakes.homeserver import FakeHomeserver
from tests.fakes.profiles import CONDUIT, SYNAPSE


async def serve(profile_name: str) -> None:
    """Run until interrupted, telling of every request as it is answered."""
    profiles = {profile.name: profile for profile in (SYNAPSE, CONDUIT)}
    async with FakeHomeserver(profiles[profile_name]) as server:
        fleet = server.furnish()
        human = {"user_id": fleet.human.user_id, "token": fleet.human.account.access_token}
        bot = {"user_id": fleet.bot.user_id, "token": fleet.bot.access_token}
        print(json.dumps({**fleet.settings, "human": human, "bot": bot}), flush=True)
        told = 0
        while True:
            calls = await server.called("*", "*", told + 1, timeout_s=float("inf"))
            for call in calls[told:]:
                print(call.method, call.path, call.status or "", flush=True)
            told = len(calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=("synapse", "conduit"), default="synapse")
    try:
        asyncio.run(serve(parser.parse_args().profile))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
