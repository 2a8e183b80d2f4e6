"""The gateway itself, as it is shipped, and the people who use it."""

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .cloud import REAL_KEY, Key
from .console import Console
from .paths import CSG
from .process import Adopted, Process, free_port, wait_until

NINE_SERVICES = ["apigateway", "dynamodb", "ecs", "glacier", "lambda", "redshift", "route53", "ses", "sns"]
PASSWORD = "correct horse battery staple"


class Gateway:
    """`csg serve` on free ports of loopback, with its own data directory. Another address for the console, such as
    `0.0.0.0`, makes it speak TLS, with a certificate that has 127.0.0.1, too."""

    def __init__(
        self,
        folder: Path,
        cloud_ca: Path,
        override: dict[str, str],
        settings: dict[str, dict] | None = None,
        console: str = "127.0.0.1",
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port, self.console_port = free_port(), free_port()
        self.is_secure = console != "127.0.0.1"
        self.configuration = folder / "csg.toml"
        sections: dict[str, dict] = {
            "gateway": {"listen": [f"127.0.0.1:{self.port}"]},
            "console": {"listen": f"{console}:{self.console_port}"},
            "upstream": {"ca_file": str(cloud_ca)},
            "upstream.override": override,
        }
        if self.is_secure:
            sections["gateway"]["hostnames"] = ["127.0.0.1"]
        for name, keys in (settings or {}).items():
            sections.setdefault(name, {}).update(keys)
        lines = [f"data_dir = {json.dumps(str(folder / 'data'))}"]
        for name, keys in sections.items():
            lines += [f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in keys.items())]
        self.configuration.write_text("\n".join(lines) + "\n")
        self.process: Process | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def console_url(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://127.0.0.1:{self.console_port}"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def init(self) -> "Gateway":
        environment = {**os.environ, "CSG_ADMIN_PASSWORD": PASSWORD}
        made = Process(
            [CSG, "init", "--config", self.configuration, "--admin", "admin"], self.folder / "init.log", environment
        )
        status = made.child.wait(60)
        assert status == 0, made.text()
        return self

    def start(self) -> "Gateway":
        self.process = Process([CSG, "serve", "--config", self.configuration], self.folder / "csg.log")
        self.process.wait_for_port(self.port)
        self.process.wait_for_port(self.console_port)
        wait_until(self.is_healthy, 30, "GET /healthz to answer 200")
        self.ca.write_bytes(self.get("/cert/pem"))
        return self

    def is_healthy(self) -> bool:
        try:
            return self.get("/healthz") is not None
        except OSError:
            return False

    def get(self, path: str) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.proxy_url + path, timeout=30) as answer:
            return answer.read()

    def running(self) -> Process:
        assert self.process is not None, "the gateway was not started"
        return self.process

    def stop(self) -> int:
        return self.running().stop()

    def ask_to_hand_over(self, *options: str | Path) -> subprocess.CompletedProcess:
        """What `csg upgrade` says."""
        return subprocess.run(
            [CSG, "upgrade", "--config", self.configuration, *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def upgrade(self, *options: str | Path) -> Process:
        """Another process takes over; gives back the one before, which finishes what it has."""
        before = self.running()
        done = self.ask_to_hand_over(*options)
        assert done.returncode == 0, done.stderr + before.tail()
        told = re.fullmatch(r"Version \S+ has taken over, as process (\d+)\.\n", done.stdout)
        assert told, done
        self.process = Adopted(int(told[1]), before)
        return before

    def configure(self, change: Callable[[str], str]) -> None:
        self.configuration.write_text(change(self.configuration.read_text()))

    def sign_in(self, name: str) -> Console:
        return Console(self.console_url, name, PASSWORD, self.ca if self.is_secure else None)


class Team:
    """admin, anna who approves and dora who develops; an environment with the real key behind it."""

    def __init__(self, gateway: Gateway):
        self.gateway = gateway
        self.admin = gateway.sign_in("admin")
        self.environment = self.admin.post("/environments", id="staging", name="Staging")["id"]
        self.credential = self.admin.post(
            "/credentials",
            name="staging account",
            cloud="aws",
            kind="static",
            access_key_id=REAL_KEY.id,
            secret_access_key=REAL_KEY.secret,
            environments=[self.environment],
        )["id"]
        self.anna = self.add_person("anna", "approver")
        self.dora = self.add_person("dora", "developer", self.environment)

    def add_person(self, name: str, role: str, environment: str | None = None) -> Console:
        roles = [{"role": role, "environment": environment}]
        self.admin.post("/users", username=name, password=PASSWORD, roles=roles)
        return self.gateway.sign_in(name)

    def ask(self, *services: str, who: Console | None = None, policy_group: str | None = None) -> dict:
        return (who or self.dora).post(
            f"/environments/{self.environment}/access-requests",
            cloud="aws",
            services=list(services),
            justification="the client tests need it",
            duration=None,
            policy_group=policy_group,
        )

    def approve(self, request: dict, **details: Any) -> dict:
        return self.anna.post(f"/access-requests/{request['id']}/approve", credential=self.credential, **details)

    def reveal(self, request: dict, who: Console | None = None) -> Key:
        secret = (who or self.dora).post(f"/access-requests/{request['id']}/secret")
        return Key(secret["access_key_id"], secret["secret_access_key"], request["id"])

    def grant(self, *services: str, who: Console | None = None, **details: Any) -> Key:
        """The whole way: asked for, approved, secret read."""
        request = self.ask(*services, who=who)
        self.approve(request, **details)
        return self.reveal(request, who)
