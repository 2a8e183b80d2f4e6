"""A machine that is switched on: the root of a small Debian, booted with its own systemd in namespaces of this machine."""

import ctypes
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.process import wait_until
from machine import Machine

# Runs as the first process of the new namespaces; `$1` is the root, a place where something is mounted.
BOOT = r"""
set -eu
mount --make-rprivate /
mount --rbind "$1" "$1"
cd "$1"
mount --rbind /sys sys
mount --rbind /dev dev
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p old etc/systemd/system etc/systemd/journald.conf.d
# Nothing reaches for the kernel's settings or the terminals of the machine that everything runs on.
for unit in systemd-sysctl systemd-modules-load systemd-random-seed console-getty getty-static getty@; do
    ln -sf /dev/null "etc/systemd/system/$unit.service"
done
printf '[Journal]\nReadKMsg=no\nAudit=no\n' >etc/systemd/journald.conf.d/test.conf
ip link set lo up
# No chroot: in one, systemd may not make user namespaces (PrivateUsers=).
pivot_root . old
umount -l /old
rmdir /old
# As a container's manager does: what systemd mounts for a service reaches that service.
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --show-status=no
"""
NAMESPACES = ["--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--net", "--kill-child"]
LIMIT_SECONDS = 90
CLONE_NEWNET = 0x40000000


class BootedMachine(Machine):
    def __init__(self, root: Path):
        super().__init__(root, "debian-systemd")
        self.outer: subprocess.Popen | None = None

    def boot(self) -> None:
        with (self.root.parent / f"{self.root.name}.log").open("ab") as output:
            self.outer = subprocess.Popen(
                ["unshare", *NAMESPACES, "bash", "-c", BOOT, "boot", str(self.root)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.init = wait_until(self._first_process, LIMIT_SECONDS, "the first process")
        wait_until(self._has_booted, LIMIT_SECONDS, f"systemd to have booted: {output.name}")

    def _first_process(self) -> int | None:
        assert self.outer is not None and self.outer.poll() is None, "it has ended"
        children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def _has_booted(self) -> bool:
        assert self.outer is not None and self.outer.poll() is None, "it has ended"
        # Of such a small machine some units fail that have nothing to do with us.
        return self.attempt("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def cut_power(self) -> None:
        """Ends all of its processes at once; the disk stays."""
        if self.outer is not None:
            self.outer.kill()  # and with it the first process, and with that one all of the others
            self.outer.wait(LIMIT_SECONDS)
            self.outer = None

    def remove(self) -> None:
        self.cut_power()
        super().remove()

    def _command(self, arguments: tuple[str, ...], user: str) -> list[str]:
        assert user == "root"
        return ["nsenter", "--target", str(self.init), "--all", "--root", "--wd", *arguments]

    def journal(self, *options: str) -> list[dict]:
        """Entries of the journal with all of their fields, oldest first."""
        said = self.run("journalctl", "--output=json", "--all", "--no-pager", "--quiet", *options)
        return [json.loads(line) for line in said.splitlines()]

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        shown = self.run("systemctl", "show", "--property", ",".join(properties), unit)
        return dict(line.split("=", 1) for line in shown.splitlines())

    @contextmanager
    def network(self) -> Iterator[None]:
        """What this thread opens or starts meanwhile is in that machine's network: loopback, and nothing else."""
        with Path("/proc/thread-self/ns/net").open() as own, Path(f"/proc/{self.init}/ns/net").open() as theirs:
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))
