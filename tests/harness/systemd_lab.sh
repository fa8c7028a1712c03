#!/bin/bash
# Boots a throwaway systemd as PID 1 of its own namespaces, over a copy-on-write view of this machine's
# root. Nothing that happens in there is seen outside, save the network, which it shares.
#
#   systemd_lab.sh USER     USER is made if missing, and gets a user manager (systemd --user)
#
# Prints the process id of the new PID 1 once everything runs, then lives until standard input ends,
# however whoever holds it may die. Exits with 125 and the reason where this machine cannot do it.
set -euo pipefail
USER_NAME=$1
if [ -z "${LAB_INSIDE:-}" ]; then      # every mount lives in a mount namespace of its own
    LAB_INSIDE=1 exec unshare --mount --propagation private -- "$BASH" "$0" "$@"
fi

LAB=$(mktemp -d /tmp/fleetchat-lab.XXXXXX)
ROOT=$LAB/fs/root GROUP=$LAB/cg/fleetchat-lab.$$ SUPERVISOR='' INIT_PID=''

cleanup() {
    set +e
    trap - EXIT INT TERM HUP
    [ -z "$SUPERVISOR" ] || { kill -KILL "${INIT_PID:-$SUPERVISOR}"; wait "$SUPERVISOR"; } 2>/dev/null
    remove_group "$GROUP"
    umount -l "$LAB/cg" "$LAB/fs"
    rm -f "$LAB/boot.log"
    rmdir "$LAB/cg" "$LAB/fs" "$LAB"
} 2>/dev/null
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

remove_group() {
    for _ in {1..100}; do
        [ -d "$1" ] || return 0
        find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || sleep .05
    done
}

give_up() {
    echo "$*" >&2
    cat "$LAB/boot.log" >&2 || true
    exit 125
}

make_root() {
    mkdir "$LAB/cg" "$LAB/fs"
    mount -t cgroup2 none "$LAB/cg" || give_up "cgroup2 cannot be mounted"
    for left in "$LAB"/cg/fleetchat-lab.*; do       # by one that died of SIGKILL
        [ ! -d "$left" ] || [ -d "/proc/${left##*.}" ] || remove_group "$left"
    done
    mkdir "$GROUP"
    mount -t tmpfs -o mode=755 lab "$LAB/fs"
    mkdir "$LAB/fs/up" "$LAB/fs/wk" "$ROOT"
    mount -t overlay -o "lowerdir=/,upperdir=$LAB/fs/up,workdir=$LAB/fs/wk" lab "$ROOT" ||
        give_up "overlayfs cannot be mounted"
    mount -t tmpfs -o mode=755,nosuid,nodev run "$ROOT/run"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmp "$ROOT/tmp"
}

# An /etc without this machine's services, and a journal that keeps everything.
make_etc() {
    local etc=$ROOT/etc/systemd
    rm -rf "$etc/system" "$etc/user" "$etc"/*.conf.d "$ROOT/etc/fstab" "$ROOT/var/log/journal"
    mkdir -p "$etc/system" "$etc/user" "$etc/journald.conf.d" "$ROOT/var/lib/systemd/linger"
    head -c16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$ROOT/etc/machine-id"
    printf '[Journal]\nStorage=persistent\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n' \
        >"$etc/journald.conf.d/lab.conf"
    local wanted="dbus.service systemd-logind.service systemd-user-sessions.service"
    printf '%s\n' '[Unit]' 'Requires=basic.target' "Wants=$wanted" "After=basic.target $wanted" \
        >"$etc/system/lab.target"
    for unit in dev-hugepages.mount sys-{kernel-{debug,tracing,config},fs-fuse-connections}.mount \
        proc-sys-fs-binfmt_misc.automount modprobe@.service systemd-{initctl,journald-audit}.socket \
        systemd-{modules-load,binfmt,firstboot,random-seed,pcrphase,pcrphase-sysinit}.service \
        systemd-{update-utmp,sysctl}.service; do
        ln -s /dev/null "$etc/system/$unit"         # what only a whole machine can have
    done
    chroot "$ROOT" id "$USER_NAME" >/dev/null 2>&1 || chroot "$ROOT" useradd -m -s /bin/bash "$USER_NAME"
    : >"$ROOT/var/lib/systemd/linger/$USER_NAME"    # so that its manager runs without a login
}

# Runs as PID 1 of the new namespaces.
# shellcheck disable=SC2016 # expanded in there
INIT='set -e; R=$1
mount -t proc -o nosuid,nodev,noexec proc $R/proc
for p in sys sysrq-trigger; do
    [ ! -e $R/proc/$p ] || { mount --bind $R/proc/$p $R/proc/$p; mount -o remount,bind,ro $R/proc/$p; }
done
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs $R/sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 $R/sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid dev $R/dev
for d in null zero full random urandom tty; do : >$R/dev/$d; mount --bind /dev/$d $R/dev/$d; done
mkdir $R/dev/pts $R/dev/shm
ln -s pts/ptmx $R/dev/ptmx; ln -s /proc/self/fd $R/dev/fd
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts $R/dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm $R/dev/shm
hostname lab
cd $R; mkdir -p run/.old; pivot_root . run/.old; cd /; umount -l run/.old; rmdir run/.old
mount --make-rshared /    # without it LoadCredential= gives an empty directory
exec env -i container=lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 /lib/systemd/systemd --system --unit=lab.target --show-status=no \
    --log-target=journal-or-kmsg'

boot() {
    ( echo "$BASHPID" >"$GROUP/cgroup.procs"
      exec setpriv --pdeathsig KILL unshare --pid --mount --ipc --uts --cgroup --fork \
           --kill-child=KILL --propagation private /bin/sh -c "$INIT" init "$ROOT"
    ) </dev/null >"$LAB/boot.log" 2>&1 &
    SUPERVISOR=$!
    for _ in {1..600}; do
        [ -d "/proc/$SUPERVISOR" ] || give_up "the boot failed"
        INIT_PID=$(tr -d ' ' <"/proc/$SUPERVISOR/task/$SUPERVISOR/children") || INIT_PID=''
        [ -n "$INIT_PID" ] && [ "$(cat "/proc/$INIT_PID/comm" 2>/dev/null)" = systemd ] &&
            inside test -S /run/systemd/private 2>/dev/null && return
        sleep .03
    done
    give_up "systemd did not come up"
}

inside() { nsenter -t "$INIT_PID" -a -- "$@"; }

make_root
make_etc
boot
state=$(inside timeout 60 systemctl is-system-running --wait) || give_up "systemd is $state" \
    "$(inside systemctl --failed --no-pager --plain)"
inside timeout 30 systemctl start "user@$(inside id -u "$USER_NAME").service"
echo "$INIT_PID"
while read -r _; do :; done
