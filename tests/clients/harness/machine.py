"""A machine of its own under a real systemd: namespaces of this one, over a copy of its disk that forgets everything."""

import subprocess
from pathlib import Path

from .process import wait_until

# Runs as the first process of the new namespaces. What is written goes to memory; the network is loopback alone.
BOOT = r"""
set -eu
base=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
cd "$base/root"
mount --rbind /sys sys
mount --rbind /dev dev
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir run/lock
rm -rf etc/systemd/system etc/csg var/lib/csg
mkdir -p etc/systemd/system
printf '[Unit]\nDescription=Nothing but the units of the test\n' > etc/systemd/system/test.target
ip link set lo up
# No chroot: in one, systemd may not make user namespaces (PrivateUsers=).
mkdir old
pivot_root . old
umount -l /old
# As a container's manager does: what systemd mounts for a service reaches that service.
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no
"""
LIMIT_SECONDS = 60


class Machine:
    def __init__(self, folder: Path):
        (folder / "disk").mkdir()
        self.log = folder / "systemd.log"
        namespaces = ["--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--net", "--kill-child"]
        with self.log.open("wb") as output:
            self.outer = subprocess.Popen(
                ["unshare", *namespaces, "bash", "-c", BOOT, "boot", str(folder / "disk")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.init = wait_until(self._first_process, LIMIT_SECONDS, "the first process")
        wait_until(self._is_running, LIMIT_SECONDS, f"systemd to run: {self.log}")

    def _first_process(self) -> int | None:
        assert self.outer.poll() is None, self.log.read_text()
        children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def _is_running(self) -> bool:
        assert self.outer.poll() is None, self.log.read_text()
        return self.run("systemctl", "is-system-running", check=False) == "running"

    def command(self, *command: str) -> list[str]:
        return ["nsenter", "--target", str(self.init), "--all", "--root", "--wd", *command]

    def attempt(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a command as root there."""
        return subprocess.run(
            self.command(*command), input=given, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )

    def run(self, *command: str, check: bool = True, given: str | None = None) -> str:
        """What a command says, run by root there."""
        done = self.attempt(*command, given=given)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, content: str) -> None:
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("tee", path, given=content)

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        shown = self.run("systemctl", "show", "--property", ",".join(properties), unit)
        return dict(line.split("=", 1) for line in shown.splitlines())

    def stop(self) -> None:
        self.outer.kill()  # and with it the first process, and with that one all of the others
        self.outer.wait(LIMIT_SECONDS)
