"""The README's "Try it for real", run as it is written: the placeholders, the ports and what is asked for are filled in."""

import os
import re
import subprocess
import sys
from pathlib import Path

from harness.certificates import CloudCertificates
from harness.cloud import REAL_KEY, StrictMoto
from harness.paths import CSG, REPOSITORY
from harness.process import free_port

BUILD = "cargo build --release && install target/*/release/csg ~/.local/bin/\n"
SERVE = "csg serve\n"
PASSWORD = "a long password"


def try_it_for_real() -> str:
    """The commands of that section, in their order."""
    section = (REPOSITORY / "README.md").read_text().split("\n## Try it for real\n")[1].split("\n## ")[0]
    return "".join(re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))


def filled_in(commands: str, gateway_port: int, console_port: int) -> str:
    def replaced(text: str, what: str, by: str) -> str:
        assert what in text, f"the README no longer says {what!r}: adapt this test"
        return text.replace(what, by)

    commands = replaced(commands, BUILD, "")
    commands = replaced(commands, "AKIA…", REAL_KEY.id)
    # What a person would type when asked.
    commands = re.sub(r"^csg login .*$", rf"\g<0> <<<'{PASSWORD}'", commands, flags=re.MULTILINE)
    commands = re.sub(r"^csg user add .*$", rf"\g<0> <<<'{PASSWORD}'", commands, flags=re.MULTILINE)
    commands = re.sub(r"^csg credential add .*$", rf"\g<0> <<<'{REAL_KEY.secret}'", commands, flags=re.MULTILINE)
    commands = replaced(commands, ":3128", f":{gateway_port}")
    ready = (
        f"curl -s --retry 60 --retry-delay 1 --retry-all-errors -o /dev/null http://127.0.0.1:{console_port}/healthz"
    )
    # "In a second shell" is the same shell here, once the first one's server is ready.
    return (
        replaced(commands, SERVE, f"csg serve >serve.log 2>&1 & SERVER=$!\n{ready}\n") + "kill $SERVER; wait $SERVER\n"
    )


def test_try_it_for_real(tmp_path: Path, cloud: StrictMoto, certificates: CloudCertificates):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "csg").symlink_to(CSG)
    gateway_port, console_port = free_port(), free_port()
    script = filled_in(try_it_for_real(), gateway_port, console_port)
    done = subprocess.run(
        # Whatever happens, the server goes with the shell.
        ["bash", "-c", "trap 'kill $(jobs -p) 2>/dev/null' EXIT\n" + script],
        cwd=tmp_path,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            # The README's `aws` may be any; this one is the Python package of the tests.
            "PATH": f"{bin_folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CSG_CONSOLE__LISTEN": f"127.0.0.1:{console_port}",
            "CSG_URL": f"http://127.0.0.1:{console_port}",
            # In the place of AWS itself.
            "CSG_UPSTREAM__CA_FILE": str(certificates.ca),
            "CSG_UPSTREAM__OVERRIDE": f"*.amazonaws.com={cloud.address}",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    said = done.stdout
    assert said.count('"TableNames"') == 1, said
    refused = said.index("(AccessDeniedException) when calling the ListTables operation: Client is not Active")
    assert said.index('"TableNames"') < refused, said
    assert "ListTables" in said[refused:].split("\n", 1)[1], said
