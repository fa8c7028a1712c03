"""`fleetchatd install-units`: what an administrator finds afterwards."""

from __future__ import annotations

import stat

from tests.harness.systemd_lab import PROGRAM, USER, Lab
from tests.harness.systemd_service import Service, SystemService, UserService

UNITS = {
    False: ["fleetchatd-tmux.service", "fleetchatd.service", "fleetchatd.socket"],
    True: ["fleetchat-relay@.service", "fleetchatd.service", "fleetchatd.socket"],
}
LIMIT = {False: "15", True: "20"}
"""How exposed systemd-analyze may find the service, in tenths."""


async def test_systemd_has_nothing_to_say_against_the_units(service: Service) -> None:
    manager = ("--user",) if service.flags else ("--system",)
    paths = [f"{service.units}/{name}" for name in UNITS[bool(service.flags)]]
    for path in paths:
        assert stat.S_IMODE(service.lab.path(path).stat().st_mode) == 0o644
    verify = ("systemd-analyze", *manager, "verify", *paths)
    assert await service.lab.run(*verify, user=service.as_user) == ""
    threshold = f"--threshold={LIMIT[bool(service.flags)]}"
    await service.lab.run(
        *("systemd-analyze", *manager, "security", "--offline=true", "--no-pager", threshold),
        f"{service.units}/fleetchatd.service",
        user=service.as_user,
    )


async def test_it_starts_this_python_as_nobody_else_and_enables_nothing(
    system: SystemService,
) -> None:
    assert f"path={PROGRAM} ;" in await system.show("ExecStart")
    assert await system.show("User") == "fleetchatd"
    assert await system.show("UnitFileState") == "disabled"
    assert await system.show("ActiveState") == "inactive"
    entry = (await system.lab.run("getent", "passwd", "fleetchatd")).strip()
    assert entry.endswith(":/var/lib/fleetchatd:/usr/sbin/nologin")
    await system.lab.run("getent", "group", "fleetchatd")


async def test_the_second_time_changes_nothing_and_a_newer_text_replaces_an_older(
    service: Service,
) -> None:
    unit = service.lab.path(f"{service.units}/fleetchatd.socket")
    again = await service.install_units()
    assert again.count("is as it should be") >= 2
    assert "write" not in again
    text = unit.read_text()
    earlier = await of_another_version(service)
    assert earlier != text
    told = await service.install_units()
    assert f"write {service.units}/fleetchatd.socket" in told
    assert unit.read_text() == text


async def of_another_version(service: Service) -> str:
    """Put in place what a version with another text would have written."""
    seal = "from fleetchatd.install_units.files import sealed"
    path = f"{service.units}/fleetchatd.socket"
    write = f"{seal}; open('{path}', 'w').write(sealed('[Socket]\\nListenStream=/run/x\\n'))"
    python = PROGRAM.replace("bin/fleetchatd", "bin/python")
    await service.lab.run(python, "-c", write, user=service.as_user)
    return service.lab.path(path).read_text()


async def test_what_was_changed_by_hand_is_left_alone_and_named(service: Service) -> None:
    unit = service.lab.path(f"{service.units}/fleetchatd.service")
    masked = service.lab.path(f"{service.units}/fleetchatd.socket")
    unit.write_text(unit.read_text().replace("RestartSec=2s", "RestartSec=7s"))
    masked.unlink()
    masked.symlink_to("/dev/null")
    await service.drop_in("[Service]\nNice=1\n")
    by_hand = unit.read_text()
    for arguments in ((), ("--uninstall",)):
        told = await service.install_units(*arguments)
        for name in ("fleetchatd.service", "fleetchatd.socket"):
            assert f"{service.units}/{name} was changed by hand and is left alone" in told
        assert unit.read_text() == by_hand
        assert masked.is_symlink()
    assert (unit.parent / "fleetchatd.service.d" / "test0.conf").exists()
    await service.remove()


async def test_uninstalled_nothing_is_left_but_drop_ins_and_the_journal(service: Service) -> None:
    await service.systemctl("enable", "--now", "fleetchatd.service")
    await service.drop_in("[Service]\nNice=1\n")
    await service.lab.fleetchatd(
        "install-units", "--uninstall", *service.flags, user=service.as_user
    )
    folder = service.lab.path(service.units)
    left = [str(path.relative_to(folder)) for path in folder.rglob("*fleetchat*")]
    assert left == ["fleetchatd.service.d"]
    assert not list(service.lab.path("/etc/sysusers.d").glob("*fleetchat*"))
    assert service.lab.path(service.state).exists()


async def test_without_a_manager_it_is_uninstalled_all_the_same(user: UserService) -> None:
    await user.systemctl("enable", "fleetchatd.service")
    as_user = f"setpriv --reuid={USER} --regid={USER} --init-groups env HOME=/home/{USER}"
    away = f"umount -l /run/user/{user.lab.uid}; {as_user} {PROGRAM} install-units --user"
    told = await user.lab.run("unshare", "--mount", "sh", "-c", f"{away} --uninstall")
    assert "the user's service manager is not running" in told
    left = user.lab.path(user.units).rglob("*fleetchat*")
    assert [path for path in left if not path.is_dir()] == []  # and no links to what is gone
    await user.lab.run("unshare", "--mount", "sh", "-c", away)
    await user.systemctl("daemon-reload")


async def test_a_folder_may_have_a_blank_in_its_name(system: SystemService) -> None:
    moved = "/opt/two words"
    await system.lab.run("cp", "-r", "/opt/fleetchatd", moved)
    try:
        for name in ("fleetchatd", "fleetchat"):  # as pip and uv begin programs in such a folder
            program = system.lab.path(f"{moved}/bin/{name}")
            start = f"""#!/bin/sh\n'''exec' '{moved}/bin/python' "$0" "$@"\n' '''\n"""
            program.write_text(start + program.read_text().partition("\n")[2])
        await system.lab.run(f"{moved}/bin/fleetchatd", "install-units")
        paths = [f"{system.units}/{name}" for name in UNITS[False]]
        assert await system.lab.run("systemd-analyze", "verify", *paths) == ""
        assert f"path={moved}/bin/fleetchatd ;" in await system.show("ExecStart")
        await system.start()
        await system.systemctl("reload", "fleetchatd")
    finally:
        await system.install_units()
        await system.lab.run("rm", "-r", moved)


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(system: SystemService) -> None:
    await system.remove()
    lab = system.lab
    told = await lab.fleetchatd("install-units", "--dry-run", user=USER)
    for line in (
        "would write /etc/systemd/system/fleetchatd.service",
        "would write /etc/systemd/system/fleetchatd.socket",
        "would reload the service manager",
    ):
        assert line in told.splitlines()
    assert not list(lab.path("/etc/systemd/system").glob("*fleetchat*"))


async def test_without_the_rights_it_says_what_to_do(lab: Lab) -> None:
    told = await lab.fleetchatd("install-units", user=USER, code=1)
    assert "cannot change /etc/systemd/system/" in told
    assert "run it as root" in told
    read_only = "mount -t tmpfs -o ro none /etc/systemd/system; fleetchatd install-units"
    told = await lab.run("unshare", "--mount", "sh", "-c", read_only, code=1)
    assert "Read-only file system; see whose it is" in told
