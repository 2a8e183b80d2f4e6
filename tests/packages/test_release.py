"""The release as a whole: made anew it is the same; the sums are right; pages, completions and README say what is there."""

import gzip
import json
import os
import re
import tarfile
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import executable
from harness.gateway import Gateway
from harness.pages import PAGES, in_sentences
from harness.paths import CSG, REPOSITORY
from harness.process import Process, wait_until
from release import Release, run


def commands(prefix: str = "") -> Iterator[str]:
    """Every command of the command line, as its help tells: `request`, `request approve`."""
    text = run(CSG, *prefix.split(), "--help")
    _, _, listed = text.partition("\nCommands:\n")
    for name in re.findall(r"^  ([a-z-]+)", listed.split("\n\n")[0], re.MULTILINE):
        if name != "help":
            yield (command := f"{prefix} {name}".strip())
            yield from commands(command)


def test_the_sums_are_those_of_the_files(release: Release):
    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=release.folder)
    named = {line.split()[1] for line in (release.folder / "SHA256SUMS").read_text().splitlines()}
    assert named == {path.name for path in release.folder.iterdir()} - {"SHA256SUMS"}


def test_every_command_has_its_page(release: Release):
    with tarfile.open(release.archive) as archive:
        pages = {
            Path(member.name).name: gzip.decompress(archive.extractfile(member).read()).decode()
            for member in archive
            if "/man/" in member.name and member.isfile()
        }
    expected = {f"csg-{command.replace(' ', '-')}.1.gz" for command in commands()} | {"csg.1.gz"}
    assert len(expected) > 30
    assert set(pages) == expected
    assert "/etc/csg/csg.toml" in pages["csg.1.gz"] and "EXIT STATUS" in pages["csg.1.gz"]
    assert "\\-\\-allow\\-credential\\-operation" in pages["csg-request-approve.1.gz"]


def test_commands_that_pages_name_in_passing_are_there():
    """Those in blocks are run: the suite `docs`."""
    known = set(commands())
    looked_at = 0
    for page in PAGES:
        for text in in_sentences(page):
            program, *words = text.split()
            if program != "csg" or not words:
                continue
            longest = (words[:count] for count in (2, 1) if " ".join(words[:count]) in known)
            command = next(longest, [])
            assert command or words[0] == "COMMAND" or words[0].startswith("--"), f"{page.name}: {text}"
            # What stands behind a group of commands is a command of it.
            is_group = any(each.startswith(" ".join([*command, ""])) for each in known)
            assert not is_group or not words[len(command) :][:1] or words[len(command)] in ("COMMAND", "--help"), text
            told = run(CSG, *command, "--help")
            for word in words:
                assert not word.startswith("--") or re.search(rf"{word}\b", told), f"{page.name}: {text}"
            looked_at += 1
    assert looked_at > 40


def test_the_completions_complete(release: Release, tmp_path: Path):
    with tarfile.open(release.archive) as archive:
        archive.extractall(tmp_path, filter="data")
    asked = """
        complete() { :; }; . share/bash-completion/completions/csg
        COMP_WORDS=(csg requ) COMP_CWORD=1; _csg csg requ csg; echo "${COMPREPLY[@]}"
    """
    assert run("bash", "-c", asked, cwd=tmp_path).split() == ["request"]
    fish = 'source share/fish/vendor_completions.d/csg.fish; complete --do-complete "csg request appr"'
    assert run("fish", "--no-config", "-c", fish, cwd=tmp_path).split()[0] == "approve"
    # Without a terminal zsh completes nothing: what it would offer is printed.
    zsh = """
        fpath=(share/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D; print $_comps[csg]
        source share/zsh/site-functions/_csg; _describe() { print -l ${(P)4} }; _csg__subcmd__request_commands
    """
    function, *offered = run("zsh", "-fc", zsh, cwd=tmp_path).splitlines()
    assert function == "_csg"
    assert {"approve", "rotate"} < {line.split(":")[0] for line in offered}, offered


def test_the_executable_is_what_the_page_says(make_gateway: Callable, say: Callable):
    gateway = make_gateway({})
    assert gateway.stop() == 0
    # The disk has been read, and the machine may have had something else to do for a moment.
    milliseconds = min(start(gateway) for _ in range(5))
    resident = gateway.start().running().status_kib("VmRSS") / 1024
    size = CSG.stat().st_size / (1 << 20)
    found = executable.properties(CSG) | {
        "size": "at most 25 MiB" if size <= 25 else f"{size:.1f} MiB",
        "ready with existing data": "within 100 ms" if milliseconds < 100 else f"after {milliseconds:.0f} ms",
        "resident while idle": "below 30 MiB" if resident < 30 else f"{resident:.1f} MiB",
    }
    assert found == executable.table(REPOSITORY / "docs/hardening.md")
    say(f"release: {size:.1f} MiB, ready after {milliseconds:.0f} ms, {resident:.1f} MiB resident")


def start(gateway: Gateway) -> float:
    """How long it takes until it answers, in milliseconds."""
    began = time.monotonic()
    gateway.process = Process([CSG, "serve", "--config", gateway.configuration], gateway.folder / "csg.log")
    wait_until(gateway.is_healthy, 30, "GET /healthz to answer 200", every=0.001)
    took = time.monotonic() - began
    assert gateway.stop() == 0
    return took * 1000


def test_it_says_what_it_is():
    told = json.loads(run(CSG, "version", "--json"))
    assert told["version"] == tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["version"]
    [schema] = re.findall(r"CURRENT: u\d+ = (\d+);", (REPOSITORY / "src/store/schema.rs").read_text())
    assert told["schema"] == int(schema)
    # A build for debugging, or from an archive of the sources, does not know.
    assert told["commit"] is None or re.fullmatch("[0-9a-f]{12}(-modified)?", told["commit"])


def test_nothing_forbids_arm64():
    """By reading; `.ci/run` compiles it where Rust's library for that target is installed."""
    run("cargo", "tree", "--locked", "--target", "aarch64-unknown-linux-gnu", cwd=REPOSITORY)
    bound = re.compile(r"target_arch|(core|std)::arch\b|\basm!|target_pointer_width")
    for path in (*(REPOSITORY / "src").rglob("*.rs"), REPOSITORY / "build.rs", REPOSITORY / "Cargo.toml"):
        assert not bound.search(path.read_text()), path


def test_made_anew_it_is_the_same(release: Release, tmp_path: Path):
    """By somebody else, elsewhere in the world, at another time."""
    before = release.copy(tmp_path / "before").folder
    commit = str(int((before / "SHA256SUMS").stat().st_mtime))
    environment = {**os.environ, "CSG_BINARY": str(CSG), "SOURCE_DATE_EPOCH": commit, "TZ": "Pacific/Auckland"}
    run("bash", "-c", "umask 077; packaging/build.sh", cwd=REPOSITORY, env=environment)
    for path in before.iterdir():
        assert path.read_bytes() == (release.folder / path.name).read_bytes(), f"{path.name} differs"
