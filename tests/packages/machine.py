"""A machine to install on: the root of a small Debian, or one with busybox alone, entered with chroot."""

import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

from harness.paths import REPOSITORY
from harness.process import Process
from release import run

ROOTS = {
    "debian": REPOSITORY / "tests/.cache/debian-root.tar",
    "debian-systemd": REPOSITORY / "tests/.cache/debian-systemd.tar",
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a packager or the system itself writes down about what happened; cron's and apt's are not there.
NOTES = (
    "/var/lib/dpkg/",
    "/var/log/",
    "/var/cache/",
    "/var/lib/rpm/",
    "/usr/lib/sysimage/",
    "/root/.rpmdb",
    "/tmp",
    "/proc",
)
# Files of accounts may change in order, and have copies of what they were before.
ACCOUNTS = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
COPIES = tuple(f"/etc/{name}-" for name in ACCOUNTS)
ADDUSER = "-S -D -H -h /var/lib/csg -s /sbin/nologin -G csg csg"


class Machine:
    def __init__(self, root: Path, kind: str):
        self.root = root
        root.mkdir(parents=True)
        # In memory, where that can be had: thousands of small files that live for seconds.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "machine", root], check=False, capture_output=True)
        if kind in ROOTS:
            subprocess.run(["tar", "-xf", ROOTS[kind], "-C", root], check=True)
        else:
            self._lay_busybox()
        self._processes: list[Process] = []

    def _lay_busybox(self) -> None:
        for folder in ("bin", "dev", "etc", "home", "root", "run", "tmp", "usr", "var/lib", "var/log"):
            (self.root / folder).mkdir(parents=True)
        shutil.copy(shutil.which("busybox") or "busybox", self.root / "bin/busybox")
        for name in run("busybox", "--list").split():
            if name != "busybox":
                (self.root / "bin" / name).symlink_to("busybox")
        for name, minor in (("null", 3), ("random", 8), ("urandom", 9)):
            os.mknod(self.root / "dev" / name, stat.S_IFCHR, os.makedev(1, minor))
            (self.root / "dev" / name).chmod(0o666)
        (self.root / "tmp").chmod(0o1777)
        for name, text in (
            ("passwd", "root:x:0:0:root:/root:/bin/sh\n"),
            ("group", "root:x:0:\n"),
            ("shadow", "root:*::::::\n"),
        ):
            (self.root / "etc" / name).write_text(text)

        # Debian's busybox has no programs for accounts, as others have; these take the same options.
        self.program("/bin/addgroup", '[ "$1" = -S ] && echo "$2:x:101:" >>/etc/group')
        self.program("/bin/adduser", f'[ "$*" = "{ADDUSER}" ] && echo "csg:x:101:101::$5:$7" >>/etc/passwd')
        self.program("/bin/deluser", 'sed -i "/^$1:/d" /etc/passwd /etc/group')

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def copy_in(self, source: Path, inside: str) -> str:
        """Copies a file or folder to `inside`, and gives that back."""
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
        return inside

    def program(self, inside: str, text: str) -> None:
        """A script in the place of whatever was there."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def _command(self, arguments: tuple[str, ...], user: str) -> list[str]:
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        return ["chroot", str(self.root), *become, *arguments]

    def _environment(self, more: dict[str, str] | None) -> dict[str, str]:
        return {"PATH": PATH, "HOME": "/root", "LC_ALL": "C", **(more or {})}

    def attempt(
        self, *arguments: str, user: str = "root", env: dict[str, str] | None = None, session: bool = False
    ) -> subprocess.CompletedProcess:
        """Runs a program there; `session`: in a group of processes of its own, so that all of it can be killed."""
        return subprocess.run(
            self._command(arguments, user),
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
            start_new_session=session,
        )

    def run(self, *arguments: str, **more) -> str:
        done = self.attempt(*arguments, **more)
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def start(self, *arguments: str, log: Path, user: str = "csg", env: dict[str, str] | None = None) -> Process:
        process = Process(self._command(arguments, user), log, self._environment(env))
        self._processes.append(process)
        return process

    def mode(self, inside: str) -> tuple[str, str, str]:
        """Rights, owner and group of a file, by the names of that machine."""
        found = self.path(inside).stat()
        return f"{stat.S_IMODE(found.st_mode):o}", self._name("passwd", found.st_uid), self._name("group", found.st_gid)

    def _name(self, file: str, number: int) -> str:
        for line in self.path(f"/etc/{file}").read_text().splitlines():
            fields = line.split(":")
            if fields[2] == str(number):
                return fields[0]
        return str(number)

    def files(self) -> dict[str, str]:
        """Every file with its mode, and its size or where it links to; of accounts, the sorted lines."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            for name in folders + names:
                path = Path(folder) / name
                inside = "/" + str(path.relative_to(self.root))
                if inside.startswith(NOTES) or inside in COPIES:
                    continue
                about = path.lstat()
                if inside.startswith("/etc/") and name in ACCOUNTS:
                    found[inside] = "".join(sorted(path.read_text().splitlines(keepends=True)))
                elif stat.S_ISLNK(about.st_mode):
                    found[inside] = f"-> {path.readlink()}"
                elif stat.S_ISDIR(about.st_mode):
                    found[inside + "/"] = f"{about.st_mode:o}"
                else:
                    found[inside] = f"{about.st_mode:o} {about.st_size}"
        return found

    def remove(self) -> None:
        for process in self._processes:
            if process.child.poll() is None:
                process.child.send_signal(signal.SIGKILL)
                process.child.wait()
        if self.root.is_mount():
            subprocess.run(["umount", "--lazy", self.root], check=True)
        else:
            shutil.rmtree(self.root)


def difference(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    names = before.keys() | after.keys()
    return {name: (before.get(name), after.get(name)) for name in sorted(names) if before.get(name) != after.get(name)}
