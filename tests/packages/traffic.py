"""Calls, one after the other, while something else happens."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from harness.clients import Way
from harness.process import wait_until


class Traffic:
    """`within`: where the calls are made from; `anew`: each on a connection of its own."""

    def __init__(self, way: Way, within: Callable[[], AbstractContextManager] = nullcontext, anew: bool = False):
        self.client = way.boto3("dynamodb", retries={"total_max_attempts": 1})
        self.calls = 0
        self.failures: list[str] = []
        self._within, self._anew = within, anew
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with self._within():
            while not self._end.is_set():
                try:
                    self.client.list_tables()
                except Exception as error:
                    self.failures.append(repr(error))
                self.calls += 1
                if self._anew:
                    self.client.close()

    def wait_for_more(self) -> None:
        seen = self.calls
        wait_until(lambda: self.calls >= seen + 3, 30, "three more calls")

    def __enter__(self) -> "Traffic":
        self._thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
