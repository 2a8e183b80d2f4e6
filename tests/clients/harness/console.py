"""The gateway's REST API, as a program would use it."""

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 30


class ApiError(Exception):
    """An answer of 4xx or 5xx: its status and its problem document."""

    def __init__(self, status: int, problem: dict):
        super().__init__(f"{status} {problem}")
        self.status, self.problem = status, problem


class Console:
    """One person's session. Over TLS, `ca` and nobody else is trusted."""

    def __init__(self, url: str, username: str, password: str, ca: Path | None = None):
        self.url, self.username, self.password = url, username, password
        trust = [urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ca)))] if ca else []
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), *trust)
        self.token: str | None = None
        self.token = self.post("/sessions", username=username, password=password)["token"]

    def document(self) -> dict:
        """The OpenAPI document."""
        with self.opener.open(f"{self.url}/api/openapi.json") as answer:
            return json.load(answer)

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, headers=headers)

    def post(self, path: str, **body: Any) -> Any:
        return self.call("POST", path, body)

    def put(self, path: str, **body: Any) -> Any:
        return self.call("PUT", path, body)

    def patch(self, path: str, **body: Any) -> Any:
        return self.call("PATCH", path, body)

    def call(self, method: str, path: str, body: dict | None = None, headers: dict[str, str] | None = None) -> Any:
        raw = self.raw(method, path, None if body is None else json.dumps(body).encode(), headers)
        return json.loads(raw) if raw else None

    def raw(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(f"{self.url}/api/v1{path}", body, method=method)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with self.opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            text = error.read()
            problem = json.loads(text) if "json" in error.headers.get("Content-Type", "") else {"text": text.decode()}
            raise ApiError(error.code, problem) from None

    def items(self, path: str) -> list[dict]:
        """All items of a list, page by page."""
        found, cursor = [], None
        while True:
            separator = "&" if "?" in path else "?"
            page = self.get(path + (f"{separator}cursor={cursor}" if cursor else ""))
            found += page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return found

    def calls(self, query: str = "") -> list[dict]:
        """What cloud clients did, newest first."""
        return [entry for entry in self.items(f"/audit?{query}") if entry["kind"] == "call"]

    def events(self, query: str = "") -> list[dict]:
        """What people did, newest first."""
        return [entry for entry in self.items(f"/audit?{query}") if entry["kind"] == "event"]
