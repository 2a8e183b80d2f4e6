"""The pages for administrators: what in them can be run, where, and what it says then.

A block of commands (```sh) has a comment before it that says where it belongs, `<!-- run: PLACE -->`; a block of ```text behind
one is what it prints, with … for what differs. A block of ```toml is a configuration.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from .paths import REPOSITORY

PAGES = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))
FENCE = re.compile(r"^```(\w*)$")
PLACE = re.compile(r"^<!-- run: (.+) -->$")


@dataclass
class Block:
    page: Path
    line: int
    kind: str
    # Where it is run, if a comment says so.
    place: str
    heading: str
    text: str
    expected: str | None = None

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    place = heading = ""
    lines = iter(enumerate(page.read_text().splitlines(), 1))
    for number, line in lines:
        if fence := FENCE.match(line):
            text = ""
            for _, inside in lines:
                if inside == "```":
                    break
                text += inside + "\n"
            if fence[1] == "text":
                assert found and found[-1].expected is None, f"{page.name}:{number}: whose output is this?"
                found[-1].expected = text
            else:
                found.append(Block(page, number, fence[1], place, heading, text))
            place = ""
        elif marked := PLACE.match(line):
            assert place == "", f"{page.name}:{number}: a second place"
            place = marked[1]
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
        elif line and place:
            raise AssertionError(f"{page.name}:{number}: no block behind `run: {place}`")
    return found


def in_sentences(page: Path) -> list[str]:
    """What stands as code within the text of a page; without messages, which begin the items of their page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^- (?:(`+).+?\1(?: · )?)+:", "", text, flags=re.MULTILINE)
    return [" ".join(found[2].split()) for found in re.finditer(r"(`+)(.+?)\1(?!`)", text, re.DOTALL)]


def prints(said: str, expected: str) -> bool:
    pattern = "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", expected.strip()))
    return re.fullmatch(pattern, said.strip()) is not None


def anchors(page: Path) -> set[str]:
    """What a link into the page may name: its headings, as forges make anchors of them, and `<a id>`."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


def links(page: Path) -> list[tuple[int, str]]:
    """Links to files and anchors, not to other sites; with their lines."""
    found = []
    text = re.sub(r"^```.*?^```$", lambda code: "\n" * code[0].count("\n"), page.read_text(), flags=re.M | re.DOTALL)
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"(`+).*?\1", "", line)):
            if not re.match(r"\w+:", target):
                found.append((number, target))
    return found
