"""Processes that a test starts, and waiting for what they do."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], limit: float, what: str, every: float = 0.05) -> T:
    """The first true value of `condition`; fails the test if none comes within `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {limit:g} s for: {what}")
        time.sleep(every)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A program in the background, its output in a file."""

    def __init__(self, arguments: list[str | Path], log: Path, environment: Mapping[str, str] | None = None):
        self.arguments = [str(argument) for argument in arguments]
        self.log = log
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment) if environment is not None else None,
            )

    def wait_for_port(self, port: int, limit: float = 60) -> None:
        def ready() -> bool:
            if self.child.poll() is not None:
                raise AssertionError(f"{self.arguments[0]} ended with {self.child.returncode}:\n{self.tail()}")
            return listens(port)

        wait_until(ready, limit, f"{self.arguments[0]} on port {port}")

    def stop(self, limit: float = 40) -> int:
        """Asks it to end, and gives its exit status."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(limit)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.arguments[0]} did not end within {limit:g} s of SIGTERM") from None
        return self.child.returncode

    def kill(self) -> None:
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.text().splitlines()[-lines:])

    def status_kib(self, field: str) -> int:
        """A figure of /proc/PID/status in KiB: `VmRSS`, `VmHWM`."""
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {field} of process {self.child.pid}")

    def forget_peak(self) -> None:
        """Lets the peak of resident memory (`VmHWM`) begin anew: proc(5), clear_refs."""
        Path(f"/proc/{self.child.pid}/clear_refs").write_text("5")

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.child.pid}/fd").iterdir()))

    def open_paths(self) -> list[str]:
        """What they are: paths, and `socket:[…]` and the like."""
        found = []
        for descriptor in Path(f"/proc/{self.child.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.append(str(descriptor.readlink()))
        return found


class Adopted(Process):
    """A process that another one has started, with the output of that one."""

    def __init__(self, number: int, parent: Process):
        self.arguments, self.log = parent.arguments, parent.log
        self.child = _Foreign(number)  # type: ignore[assignment]


class _Foreign:
    """What is asked of a `Popen`, for a process that is not this one's child: its status can't be had."""

    def __init__(self, number: int):
        self.pid = number
        self.handle = os.pidfd_open(number)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if select.select([self.handle], [], [], 0)[0]:
            self.returncode = 0
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not select.select([self.handle], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self.poll() or 0

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self.handle, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)
