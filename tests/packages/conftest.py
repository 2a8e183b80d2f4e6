"""What the suites of packages share: the harness of the client suites, the release, and machines to install it on."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from machine import Machine
from release import Release

pytest_plugins = ["harness.fixtures"]


@pytest.fixture(scope="session")
def release() -> Release:
    """What packaging/build.sh made; `tests/run` has just called it."""
    return Release()


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[Callable[[str], Machine]]:
    """Fresh machines: a "debian", or a "busybox" that has nothing else."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for chroot")
    made: list[Machine] = []

    def make(kind: str) -> Machine:
        made.append(Machine(tmp_path / f"machine{len(made)}", kind))
        return made[-1]

    yield make
    for machine in made:
        machine.remove()
