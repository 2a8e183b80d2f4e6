"""What can be found out about the executable from outside, in the words of docs/hardening.md."""

import os
import re
import subprocess
from pathlib import Path

from harness.paths import REPOSITORY
from release import run

# Where cargo and rustup keep what they build from, wherever that is; and where people build.
BUILDERS = re.compile(rb"[\w./-]*(?:/registry/src/|/\.cargo/|index\.crates\.io|/lib/rustlib/|/home/|/target/)[\w./-]*")
# Files that nothing but the C library's resolver reads.
RESOLVER = (b"/etc/gai.conf", b"/etc/nsswitch.conf", b"libnss_")


def table(page: Path) -> dict[str, str]:
    """Property and value, from the table of the page."""
    rows = (line.strip("| ").split("|") for line in page.read_text().splitlines() if line.startswith("| "))
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells[0][:2] == ["property", "value"]
    return {row[0]: row[1] for row in cells[2:]}


def properties(executable: Path) -> dict[str, str]:
    """Those that are a matter of the file alone."""
    content = executable.read_bytes()
    segments = re.findall(
        r"^ +(\w+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([R ][W ][E ]) (?:0x)?\w+$",
        run("readelf", "--segments", "--wide", executable),
        re.MULTILINE,
    )
    dynamic = run("readelf", "--dynamic", "--wide", executable)
    sections = run("readelf", "--sections", "--wide", executable)
    kinds = {kind for kind, _ in segments}
    loaded = [rights for kind, rights in segments if kind == "LOAD"]
    assert "LOAD" in kinds and "GNU_STACK" in kinds, segments

    def tags(*names: str) -> str:
        return " ".join(name for name in names if f"({name})" in dynamic) or "none"

    told = run("file", "--brief", executable)
    return {
        "kind": ", ".join(word for word in ("static-pie", "stripped", "setuid") if re.search(rf"\b{word}\b", told)),
        "ldd": run("ldd", executable).strip(),
        "interpreter": "none" if "INTERP" not in kinds else "some",
        "needed libraries": tags("NEEDED"),
        "search paths for libraries": tags("RPATH", "RUNPATH"),
        "read-only relocations": "full" if "GNU_RELRO" in kinds and "BIND_NOW" in dynamic else "partial",
        "relocations in code": tags("TEXTREL"),
        "executable stack": "no"
        if all("E" not in rights for kind, rights in segments if kind == "GNU_STACK")
        else "yes",
        "segments both writable and executable": str(sum("W" in r and "E" in r for r in loaded) or "none"),
        "segments executable": str(sum("E" in rights for rights in loaded)),
        "symbols and debug information": " ".join(re.findall(r"\.(?:symtab|debug_\w+)", sections)) or "none",
        "build paths": build_paths(content),
        "resolver of the C library": "present" if any(mark in content for mark in RESOLVER) else "absent",
        "capabilities or setuid": rights_of(executable),
    }


def build_paths(content: bytes) -> str:
    """What names a directory of the builder."""
    found = set(BUILDERS.findall(content))
    places = {str(REPOSITORY), str(Path.home()), os.environ.get("CARGO_HOME", ""), os.environ.get("RUSTUP_HOME", "")}
    # "/root" alone is in many an innocent text.
    found |= {place.encode() for place in places if place.count("/") > 1 and place.encode() in content}
    return b" ".join(sorted(found)).decode() or "none"


def rights_of(executable: Path) -> str:
    mode = executable.stat().st_mode
    capabilities = subprocess.run(["getcap", executable], capture_output=True, text=True, check=False).stdout
    return "none" if not mode & 0o6000 and not capabilities else f"{mode:o} {capabilities}"
