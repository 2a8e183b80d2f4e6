"""Calls that go on while a test does something to the gateway, and what is recorded of them."""

import json
import subprocess
import threading

from .clients import Way
from .cloud import Key
from .gateway import Team
from .paths import CLIENTS
from .process import wait_until
from .wire import DYNAMODB, list_tables, tunnel


class Load:
    """Clients of several kinds that call until they are told to stop. None of them tries a call a second time."""

    def __init__(self, team: Team, kinds: str = "boto3 kept curl javascript"):
        self.team = team
        self.stopped = threading.Event()
        self.calls: dict[str, int] = {}
        self.errors: list[str] = []
        self.keys = {kind: team.grant("dynamodb") for kind in kinds.split()}
        self.threads = [threading.Thread(target=self.run, args=(kind, key)) for kind, key in self.keys.items()]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join(60)

    def wait_for_more(self) -> None:
        """Until each kind has come a good way on: those that tell only at their end are not waited for."""
        counted = {kind: self.calls.get(kind, 0) + 10 for kind in self.keys if kind in ("boto3", "kept")}
        more = lambda: self.errors or all(self.calls.get(kind, 0) >= count for kind, count in counted.items())  # noqa: E731
        wait_until(more, 30, "the clients to go on")

    def run(self, kind: str, key: Key) -> None:
        way = Way(self.team.gateway.proxy_url, self.team.gateway.ca, key)
        try:
            getattr(self, kind)(way)
        except Exception as error:
            self.errors.append(f"{kind}: {error!r}")

    def boto3(self, way: Way) -> None:
        client = way.boto3("dynamodb", retries={"total_max_attempts": 1})
        while not self.stopped.is_set():
            self.calls["boto3"] = self.calls.get("boto3", 0) + 1
            client.list_tables()

    def kept(self, way: Way) -> None:
        """A client that keeps its connection for as long as the gateway lets it."""
        connection = None
        while not self.stopped.is_set():
            connection = connection or tunnel(self.team.gateway.address, way.ca, DYNAMODB)
            self.calls["kept"] = self.calls.get("kept", 0) + 1
            answer = connection.request(list_tables(way.key))
            assert answer.status == 200, answer
            if answer.headers.get("connection") == "close":
                connection.close()
                connection = None
        if connection:
            connection.close()

    def curl(self, way: Way) -> None:
        """Fifty calls on one connection, again and again."""
        signed = ["--aws-sigv4", "aws:amz:us-east-1:dynamodb", "--user", f"{way.key.id}:{way.key.secret}"]
        kind = ["-H", "x-amz-target: DynamoDB_20120810.ListTables", "-H", "content-type: application/x-amz-json-1.0"]
        asks = ["-d", "{}", "-w", "%{http_code}\n", *["-o", "/dev/null", f"https://{DYNAMODB}/"] * 50]
        while not self.stopped.is_set():
            command = ["curl", "--disable", "-sS", "--cacert", way.ca, "-x", way.proxy_url, *signed, *kind, *asks]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, done.stdout.split()) == (0, ["200"] * 50), done
            self.calls["curl"] = self.calls.get("curl", 0) + 50

    def javascript(self, way: Way) -> None:
        with subprocess.Popen(
            ["node", "loop.mjs"],
            cwd=CLIENTS / "js",
            env=way.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as node:
            self.stopped.wait(60)
            told = json.loads(node.communicate("", timeout=60)[0])
        self.calls["javascript"] = told["calls"]
        assert told["errors"] == []


def records(team: Team, key: Key, count: int) -> list[dict]:
    """What is recorded of a key's calls, once there are as many as expected."""
    found = wait_until(
        lambda: len(items := team.admin.calls(f"request={key.request}")) >= count and items, 20, f"{count} records"
    )
    assert len(found) == count == len({record["id"] for record in found})
    return found


def check_records(load: Load) -> None:
    for kind, key in load.keys.items():
        outcomes = {record["outcome"] for record in records(load.team, key, load.calls[kind])}
        assert outcomes == {"allowed"}, kind
