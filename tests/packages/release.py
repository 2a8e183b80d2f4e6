"""The folder of a release, and older packages made of it."""

import re
import shutil
import subprocess
from pathlib import Path

from harness.paths import REPOSITORY

NAME = "cloud-service-gateway"


def run(*arguments: str | Path, **more) -> str:
    """What a program says; it has to succeed."""
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


class Release:
    def __init__(self, folder: Path = REPOSITORY / "target/dist/release"):
        self.folder = folder
        self.deb, self.rpm, self.archive = (self._one(f"*.{kind}") for kind in ("deb", "rpm", "tar.gz"))
        self.script = folder / "install.sh"

    def _one(self, pattern: str) -> Path:
        [found] = self.folder.glob(pattern)
        return found

    def copy(self, folder: Path) -> "Release":
        shutil.copytree(self.folder, folder)
        return Release(folder)

    def older_deb(self, folder: Path, configuration: str) -> Path:
        """The same executable under a lower version, with another csg.toml."""
        tree = folder / "older"
        run("dpkg-deb", "--raw-extract", self.deb, tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub("^Version: .*$", "Version: 0.0.9-1", control.read_text(), flags=re.MULTILINE))
        (tree / "etc/csg/csg.toml").write_text(configuration)
        (tree / "DEBIAN/md5sums").unlink(missing_ok=True)
        older = folder / f"{NAME}_0.0.9-1_amd64.deb"
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, older)
        return older

    def older_rpm(self, folder: Path) -> Path:
        """The same files under a lower version, through the same packager."""
        older = folder / f"{NAME}-0.0.9-1.rpm"
        run(
            "cargo", "generate-rpm", "--payload-compress", "none", "-s", 'version = "0.0.9"', "--output", older,
            cwd=REPOSITORY,
        )  # fmt: skip
        return older


def units() -> list[str]:
    """The units that the packages have."""
    return sorted(
        path.name for pattern in ("*.service", "*.socket", "*.timer") for path in (REPOSITORY / "systemd").glob(pattern)
    )
