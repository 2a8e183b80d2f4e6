"""Debian's Chromium, driven by Playwright. No browser is downloaded."""

import os
import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import Browser, Playwright

# Nothing but the pages' own traffic: Chromium of itself asks for updates, suggestions and certificates' lists.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
]


def launch(playwright: Playwright, *arguments: str, home: Path | None = None) -> Browser:
    """With a home of its own, if one is given: there lies whom it trusts."""
    path = shutil.which("chromium")
    assert path, "chromium is missing: tests/run installs it"
    # Chromium's sandbox does not work for root.
    sandbox = [] if os.getuid() else ["--no-sandbox"]
    variables = {**os.environ, "HOME": str(home)} if home else None
    return playwright.chromium.launch(executable_path=path, args=[*QUIET, *sandbox, *arguments], env=variables)


def trust(home: Path, ca: Path) -> None:
    """Makes Chromium trust an authority, as people do in its settings: by the NSS database of its home."""
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    for step in (["-N", "--empty-password"], ["-A", "-n", "gateway", "-t", "C,,", "-i", str(ca)]):
        subprocess.run(["certutil", "-d", f"sql:{database}", *step], check=True, timeout=60)
