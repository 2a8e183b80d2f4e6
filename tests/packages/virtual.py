"""A machine with a kernel of its own: Debian's, under QEMU's emulation, which needs nothing of this machine. For what the
kernel here may not have: AppArmor and SELinux, in force."""

import os
import select
import subprocess
import time
from pathlib import Path

from harness.paths import REPOSITORY

DISK = REPOSITORY / "tests/.cache/debian-virtual"
# Emulated, and perhaps beside other suites.
LIMIT_SECONDS = 300
ZERO = b"\0"


class VirtualMachine:
    def __init__(self, folder: Path, security: str, brought: Path):
        """`security`: the kernel's module that is in force; the files of `brought` lie in /srv."""
        folder.mkdir()
        self.console = folder / "console.log"
        disk = folder / "brought.tar"
        subprocess.run(["tar", "-C", brought, "--owner=root", "--group=root", "-cf", disk, "."], check=True)
        qemu = DISK / "qemu"
        self.child = subprocess.Popen(
            [
                qemu / "ld-linux-x86-64.so.2", "--library-path", qemu, qemu / "qemu-system-x86_64", "-L", qemu,
                "-nodefaults", "-no-reboot", "-display", "none",
                "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024",
                "-kernel", DISK / "vmlinuz",
                # Where this machine is busy, emulated timers are late: that is no reason to give up.
                "-append", f"root=/dev/nvme0n1 rw console=ttyS0 quiet security={security} no_timer_check panic=-1",
                # What is written is forgotten.
                "-drive", f"if=none,id=disk,format=raw,snapshot=on,file={DISK / 'disk.img'}",
                "-drive", f"if=none,id=brought,format=raw,readonly=on,file={disk}",
                # Of one controller, so that their names don't depend on which is found first.
                "-device", "nvme,serial=disks",
                "-device", "nvme-ns,drive=disk,nsid=1", "-device", "nvme-ns,drive=brought,nsid=2",
                "-serial", f"file:{self.console}",
                "-chardev", "stdio,id=agent,signal=off", "-serial", "chardev:agent",
            ],
            env={"QEMU_MODULE_DIR": str(qemu), "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "qemu.log").open("wb"),
        )  # fmt: skip
        self._heard = b""

    def wait_until_it_has_booted(self) -> None:
        assert self._hear() == "ready"
        self.run("tar -xf /dev/nvme0n2 -C /srv")

    def _hear(self) -> str:
        """What the agent says, up to a zero byte."""
        assert self.child.stdout is not None
        deadline = time.monotonic() + LIMIT_SECONDS
        while ZERO not in self._heard:
            is_there, _, _ = select.select([self.child.stdout], [], [], max(deadline - time.monotonic(), 0))
            assert is_there, f"nothing heard for {LIMIT_SECONDS} s: {self.console}"
            more = os.read(self.child.stdout.fileno(), 65536)
            assert more, f"it has ended: {self.console}"
            self._heard += more
        said, _, self._heard = self._heard.partition(ZERO)
        return said.decode()

    def attempt(self, script: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of bash as root there."""
        assert self.child.stdin is not None
        self.child.stdin.write(script.encode() + ZERO)
        self.child.stdin.flush()
        said, status = self._hear(), self._hear()
        return subprocess.CompletedProcess(script, int(status), said, "")

    def run(self, script: str) -> str:
        done = self.attempt(script)
        assert done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout}"
        return done.stdout.strip()

    def stop(self) -> None:
        self.child.kill()
        self.child.wait()
