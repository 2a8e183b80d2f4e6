"""Debian's Chromium, driven by Playwright. No browser is downloaded."""

import os
import shutil

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


def launch(playwright: Playwright) -> Browser:
    path = shutil.which("chromium")
    assert path, "chromium is missing: tests/run installs it"
    # Chromium's sandbox does not work for root.
    sandbox = [] if os.getuid() else ["--no-sandbox"]
    return playwright.chromium.launch(executable_path=path, args=QUIET + sandbox)
