"""Disks that are full, read-only or damaged, under the real daemon; and second instances."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.homeserver import FakeMatrixRoom
from tests.harness.api import ApiError
from tests.harness.daemon import Daemon
from tests.harness.rooms import MakeDaemon
from tests.harness.waiting import eventually

SIZE_BYTES = 2 * 1024 * 1024


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}; run as root")


class SmallDisk:
    """A daemon's state directory on a disk of its own."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.folder = daemon.state_dir
        self._ballast = self.folder / "ballast"

    def fill(self) -> None:
        """Leave no byte of it free."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        ballast.write(b"x" * size)
                except OSError:
                    continue

    async def fill_up(self) -> tuple[list[str], ApiError]:
        """Fill the disk once the daemon receives, and send until it says that it has no room.

        Returns:
            What it took in meanwhile, as the log holds on to room that it has, and what it said.
        """
        await receiving(self.daemon)
        self.fill()
        taken: list[str] = []
        while len(taken) < 5000:
            try:
                taken.append((await self.daemon.api.send("x" * 500))["id"])
            except ApiError as error:
                return taken, error
        raise AssertionError("the disk never got full")

    def make_room(self) -> None:
        self._ballast.unlink()

    def remount(self, how: str) -> None:
        mount("-o", f"remount,{how}", str(self.folder))


@pytest.fixture
def small_disk(make_daemon: MakeDaemon, fake: FakeMatrixRoom) -> Iterator[SmallDisk]:
    """For a daemon in a scripted room, not yet started."""
    daemon = make_daemon(fake)
    daemon.state_dir.mkdir()
    mount("-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=0700", "tmpfs", str(daemon.state_dir))
    try:
        yield SmallDisk(daemon)
    finally:
        subprocess.run(["umount", "--lazy", str(daemon.state_dir)], check=True)


async def receiving(daemon: Daemon) -> None:
    await daemon.api.wait_health(lambda health: health["connector"]["receiving"])


async def test_a_full_disk_is_507_and_what_was_taken_in_before_is_safe(
    small_disk: SmallDisk, fake: FakeMatrixRoom
) -> None:
    daemon = small_disk.daemon
    await daemon.start()
    taken, error = await small_disk.fill_up()
    assert (error.status, error.kind) == (507, "storage-full")
    assert "the disk is full; make room" in (error.detail or "")
    health = await daemon.api.health()
    assert health["status"] == "down"
    assert "the disk is full" in health["journal"]["error"]
    small_disk.make_room()
    after = await daemon.api.send("after", wait_s=20)
    assert after["state"] == "delivered"
    await daemon.api.wait_health(lambda health: health["status"] == "ok")
    for message_id in taken:
        assert (await daemon.api.final(message_id))["state"] == "delivered"
    assert await fake.said_by_bot() == ["x" * 500] * len(taken) + ["after"]


async def test_what_people_say_to_a_full_disk_arrives_once_when_there_is_room(
    small_disk: SmallDisk, fake: FakeMatrixRoom
) -> None:
    daemon = small_disk.daemon
    await daemon.start()
    await small_disk.fill_up()
    said = [f"{number} " + "y" * 2000 for number in range(30)]
    for text in said:
        await fake.human.say(text)

    await daemon.api.wait_health(lambda health: health["journal"]["error"])
    small_disk.make_room()
    heard: list[str] = []

    async def all_of_it() -> bool:
        heard[:] = [event["text"] for event in await daemon.api.pending(after=0, types="message")]
        return len(heard) >= len(said)

    await eventually("what was said", all_of_it)
    assert heard == said


async def test_a_daemon_that_is_started_on_a_full_disk_serves_once_there_is_room(
    small_disk: SmallDisk,
) -> None:
    daemon = small_disk.daemon
    await daemon.start()
    await receiving(daemon)
    taken = (await daemon.api.send("before", wait_s=20))["id"]
    await small_disk.fill_up()
    await daemon.kill()
    daemon.spawn()
    await eventually("an end or an answer", lambda: ended_or_answers(daemon))
    small_disk.make_room()
    if not daemon.running:
        assert daemon.returncode == 1
        assert "the disk is full; make room" in daemon.log_text
        await daemon.start()
    await receiving(daemon)
    assert (await daemon.api.message(taken))["state"] == "delivered"
    assert (await daemon.api.send("after", wait_s=20))["state"] == "delivered"


async def ended_or_answers(daemon: Daemon) -> bool:
    if not daemon.running:
        return True
    try:
        return bool(await daemon.api.health())
    except aiohttp.ClientError:
        return False


async def test_a_daemon_that_died_on_a_full_disk_starts_again_with_all_it_took_in(
    small_disk: SmallDisk, fake: FakeMatrixRoom
) -> None:
    daemon = small_disk.daemon
    await daemon.start()
    taken, _ = await small_disk.fill_up()
    await daemon.kill()
    small_disk.make_room()
    await daemon.start()
    for message_id in taken:
        assert (await daemon.api.final(message_id))["state"] == "delivered"
    assert await fake.said_by_bot() == ["x" * 500] * len(taken)


async def test_a_read_only_disk_is_named_at_the_start_and_loses_nothing(
    small_disk: SmallDisk,
) -> None:
    """Only at the start: the kernel makes no disk read-only on which a file is being written."""
    daemon = small_disk.daemon
    await daemon.start()
    await receiving(daemon)
    first = await daemon.api.send("first", wait_s=20)
    await daemon.terminate()
    small_disk.remount("ro")
    daemon.spawn()
    assert await daemon.ended() == 1
    assert "cannot use the state directory" in daemon.log_text
    assert "Read-only file system" in daemon.log_text
    small_disk.remount("rw")
    await daemon.start()
    assert (await daemon.api.message(first["id"]))["state"] == "delivered"
    await receiving(daemon)
    assert (await daemon.api.send("second", wait_s=20))["state"] == "delivered"


def flip(content: bytearray) -> None:
    for place in range(4096, len(content), 4096):
        content[place : place + 64] = bytes(byte ^ 0xFF for byte in content[place : place + 64])


def cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


def empty(content: bytearray) -> None:
    content.clear()


def overwrite(content: bytearray) -> None:
    content[:] = b"no journal at all\n" * 1000


@pytest.mark.parametrize("damage", [flip, cut, empty, overwrite])
async def test_a_damaged_journal_ends_the_start_with_78_and_stays_as_it_was(
    make_daemon: MakeDaemon, damage: object
) -> None:
    daemon = make_daemon()
    await daemon.start()
    for number in range(50):
        await daemon.api.send(f"{number} " + "x" * 1000)
    await daemon.terminate()
    path = daemon.state_dir / "journal.db"
    content = bytearray(path.read_bytes())
    assert callable(damage)
    damage(content)
    path.write_bytes(content)
    for _ in range(2):
        daemon.spawn()
        assert await daemon.ended() == 78
        assert path.read_bytes() == bytes(content)
    assert f"cannot read {path}" in daemon.log_text
    assert "restore it from a backup, or move it away" in daemon.log_text


async def test_a_second_instance_on_the_same_state_ends_with_75(make_daemon: MakeDaemon) -> None:
    daemon, second = make_daemon(), make_daemon()
    await daemon.start()
    second.state_dir = daemon.state_dir
    second.spawn()
    assert await second.ended() == 75
    assert "another fleetchatd holds it" in second.log_text
    assert (await daemon.api.send("still here", wait_s=20))["state"] == "delivered"


async def test_a_second_instance_on_the_same_socket_ends_with_75(make_daemon: MakeDaemon) -> None:
    daemon, second = make_daemon(), make_daemon()
    await daemon.start()
    second.socket = daemon.socket
    second.spawn()
    assert await second.ended() == 75
    assert "another fleetchatd listens on it" in second.log_text
    assert (await daemon.api.send("still here", wait_s=20))["state"] == "delivered"


async def test_a_killed_daemon_leaves_nothing_that_keeps_the_next_one_out(
    make_daemon: MakeDaemon,
) -> None:
    daemon = make_daemon()
    await daemon.start()
    await daemon.kill()
    assert exists(daemon.socket)
    await daemon.start()
    assert (await daemon.api.health())["version"]


def exists(path: Path) -> bool:
    return os.path.lexists(path)
