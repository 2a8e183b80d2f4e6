"""AppArmor and SELinux in force, under Debian's own kernel: what docs/hardening.md says of them is done, and the service
goes on as without them."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.pages import blocks
from harness.paths import REPOSITORY
from release import Release, run
from virtual import VirtualMachine

PAGE = REPOSITORY / "docs/hardening.md"


@pytest.fixture
def start(tmp_path: Path, release: Release) -> Iterator[Callable[[str], VirtualMachine]]:
    """A machine on which one of the two is in force, with the package installed."""
    if os.geteuid() != 0 or os.uname().machine != "x86_64":
        pytest.skip("needs root, who made its disk; and is x86-64")
    made: list[VirtualMachine] = []

    def start(security: str) -> VirtualMachine:
        brought = tmp_path / "brought"
        brought.mkdir()
        # The same package; to uncompress it takes the emulation longer than everything else.
        tree = tmp_path / "tree"
        run("dpkg-deb", "--raw-extract", release.deb, tree)
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, brought / "csg.deb")
        machine = VirtualMachine(tmp_path / security, security, brought)
        made.append(machine)
        machine.wait_until_it_has_booted()
        machine.run("dpkg --install /srv/csg.deb")
        return machine

    yield start
    for machine in made:
        machine.stop()


def do_as_the_page_says(machine: VirtualMachine, place: str) -> None:
    found = [block for block in blocks(PAGE) if block.place == place]
    assert found, place
    for block in found:
        machine.run(f"set -eu\n{block.text}")


def label(machine: VirtualMachine) -> str:
    """What the kernel calls the running service."""
    return machine.run("cat /proc/$(systemctl show -P MainPID csg.service)/attr/current")


def goes_on_as_ever(machine: VirtualMachine) -> None:
    """What it does with files, sockets, the network and itself: as its administrator would have it do."""
    assert machine.run("systemctl is-active csg.service") == "active"
    assert machine.run("curl -sS http://127.0.0.1:3128/healthz") == "ok"
    link = re.search(r"http://\S+/setup\?token=\S+", machine.run("csg setup-link"))
    assert link and machine.run(f"curl -sS -o /dev/null -w '%{{http_code}}' '{link[0]}'") == "200"
    # A certificate is made for the host, and the call is refused in the way of its service.
    host = "sts.us-east-1.amazonaws.com"
    machine.run("curl -fsS -o /run/ca.pem http://127.0.0.1:3128/cert/pem")
    refused = machine.run(f"curl -sS --proxy http://127.0.0.1:3128 --cacert /run/ca.pem https://{host}/")
    assert "MissingAuthenticationToken" in refused, refused
    machine.run("systemctl reload csg.service")
    machine.run("csg backup /root/backup.csg && test -s /root/backup.csg")
    before, running = machine.run("systemctl show -P MainPID csg.service"), label(machine)
    assert "has taken over" in machine.run("csg upgrade")
    assert machine.run("systemctl show -P MainPID csg.service") != before
    assert label(machine) == running
    machine.run("systemctl restart csg.service")
    assert label(machine) == running
    assert machine.run("tail -n 1 /var/log/csg/cloud-service-gateway.log")


def test_apparmor(start: Callable[[str], VirtualMachine]):
    machine = start("apparmor")
    assert label(machine) == "unconfined"
    do_as_the_page_says(machine, "apparmor")
    assert label(machine) == "csg (enforce)"
    goes_on_as_ever(machine)
    # Everything from a request for access to a call that is forwarded.
    as_the_service = "setpriv --reuid csg --regid csg --clear-groups aa-exec --profile csg --"
    machine.run(f"TMPDIR=/var/lib/csg {as_the_service} csg demo --once")
    denied = 'journalctl --boot --quiet --grep \'apparmor="DENIED".*profile="csg"\' || true'
    assert machine.run(denied) == ""
    # And that none of it was for want of a profile that denies.
    machine.run("mkdir -m 755 /srv/csg && touch /srv/csg/csg.toml && chmod 644 /srv/csg/csg.toml")
    refused = machine.attempt(f"{as_the_service} csg ca show --config /srv/csg/csg.toml")
    assert refused.returncode != 0 and "Permission denied" in refused.stdout, refused.stdout
    assert "/srv/csg/csg.toml" in machine.run(denied)


def test_selinux(start: Callable[[str], VirtualMachine]):
    machine = start("selinux")
    assert machine.run("getenforce") == "Enforcing"
    assert ":initrc_t:" in label(machine)
    # Moved there from somebody's home, and data somewhere else.
    machine.run("chcon --type user_home_t /etc/csg/csg.toml && mkdir /srv/csg")
    do_as_the_page_says(machine, "selinux")
    assert machine.run("stat --format %C /etc/csg/csg.toml") == "system_u:object_r:etc_t:s0"
    assert machine.run("stat --format %C /srv/csg") == "system_u:object_r:var_lib_t:s0"
    assert re.search(r"^http_cache_port_t +tcp .*\b3129\b", machine.run("semanage port --list"), re.MULTILINE)
    goes_on_as_ever(machine)
    assert machine.run("journalctl --boot --quiet --grep 'avc: +denied .*comm=\"csg\"' || true") == ""
