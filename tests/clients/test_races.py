"""Two at once: one decision counts, one reading of a secret succeeds; over HTTP, many rounds."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.console import ApiError
from harness.gateway import Team

ROUNDS = 30


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Does all of them at the same moment; each one's answer or `ApiError`."""
    barrier = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return act()
        except ApiError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def statuses(answers: list[Any]) -> list[int]:
    return sorted(answer.status if isinstance(answer, ApiError) else 200 for answer in answers)


@pytest.fixture(scope="module")
def max_(team: Team):
    return team.add_person("max", "approver")


def test_two_approvers(team: Team, max_):
    for _ in range(ROUNDS):
        request = team.ask("sns")
        path = f"/access-requests/{request['id']}/approve"
        answers = at_once(
            lambda path=path: team.anna.post(path, credential=team.credential),
            lambda path=path: max_.post(path, credential=team.credential),
        )
        assert statuses(answers) == [200, 409], answers
        [winner] = [answer for answer in answers if not isinstance(answer, ApiError)]
        [loser] = [answer for answer in answers if isinstance(answer, ApiError)]
        assert "approved" in str(loser.problem), "the conflict says how things stand"
        stored = team.dora.get(f"/access-requests/{request['id']}")
        assert (stored["status"], stored["decided_by"]) == ("approved", winner["decided_by"])


def test_one_approves_and_one_denies(team: Team, max_):
    for _ in range(ROUNDS):
        request = team.ask("sns")
        path = f"/access-requests/{request['id']}"
        answers = at_once(
            lambda path=path: team.anna.post(f"{path}/approve", credential=team.credential),
            lambda path=path: max_.post(f"{path}/deny", comment="no"),
        )
        assert statuses(answers) == [200, 409], answers
        approved = not isinstance(answers[0], ApiError)
        assert team.dora.get(path)["status"] == ("approved" if approved else "denied")
        if not approved:
            with pytest.raises(ApiError) as refused:
                team.reveal(request)
            assert refused.value.status in (403, 404, 409, 410)


def test_two_readers_of_one_secret(team: Team):
    for _ in range(ROUNDS):
        request = team.ask("sns")
        team.approve(request)
        path = f"/access-requests/{request['id']}/secret"
        answers = at_once(*[lambda path=path: team.dora.post(path)] * 4)
        assert statuses(answers) == [200, 410, 410, 410], answers
        with pytest.raises(ApiError) as refused:
            team.dora.post(path)
        assert refused.value.status == 410


def test_approval_against_withdrawal(team: Team):
    """Whatever comes first, no access is left behind that its owner has taken back."""
    for _ in range(ROUNDS):
        request = team.ask("sns")
        path = f"/access-requests/{request['id']}"
        answers = at_once(
            lambda path=path: team.anna.post(f"{path}/approve", credential=team.credential),
            lambda path=path: team.dora.post(f"{path}/withdraw", comment="no longer needed"),
        )
        assert statuses(answers) == [200, 409], answers


def test_many_at_once_ask(team: Team):
    """Twenty requests at the same moment are twenty requests."""
    made = at_once(*[lambda: team.ask("ses")] * 20)
    assert not [answer for answer in made if isinstance(answer, ApiError)]
    ids = {request["id"] for request in made}
    assert len(ids) == 20
    listed = {request["id"] for request in team.anna.items("/access-requests?limit=100")}
    assert ids <= listed
