"""Signing in: passwords, throttling, sessions, and the second factor."""

import os
import re
import subprocess
from collections.abc import Callable

import pytest

from browsing.authenticator import code
from browsing.person import Person
from browsing.site import PASSWORD, Site
from harness.console import ApiError
from harness.paths import CSG

COOKIE = "csg_session"


def cookie(person: Person, name: str = COOKIE) -> dict | None:
    return next((one for one in person.context.cookies() if one["name"] == name), None)


def attempt(person: Person, name: str, password: str) -> int:
    """Types both and presses the button: the status of the answer."""
    person.page.goto("/sign-in")
    person.fill("User name", name)
    person.fill("Password", password)
    with person.page.expect_response(lambda answer: answer.request.method == "POST") as answer:
        person.press("Sign in")
    return answer.value.status


def set_up_second_factor(person: Person) -> tuple[str, list[str]]:
    """The key and the recovery codes."""
    person.visit("/account")
    person.follow("Set up a second factor")
    person.fill("Password", PASSWORD)
    person.press("Set up a second factor")
    key = person.page.get_by_label("Key", exact=True).inner_text()
    qr = person.page.get_by_role("img", name="QR code with the key")
    box = qr.bounding_box()
    assert box and box["width"] == box["height"] > 150, box
    person.fill("Six digits", code(key))
    person.press("Turn the second factor on")
    codes = person.page.get_by_label("Recovery codes", exact=True).inner_text().split()
    assert len(codes) == 10
    with person.page.expect_download() as download:
        person.page.get_by_role("link", name="Download as a file").click()
    saved = download.value.path().read_text()
    assert all(one in saved for one in codes)
    person.follow("I have saved them")
    assert "10 recovery codes left" in person.text()
    assert key not in person.page.content() and codes[0] not in person.page.content()
    return key, codes


def give_code(person: Person, text: str) -> None:
    person.page.get_by_label("Code of your authenticator app").fill(text)
    person.press("Sign in")


def test_a_wrong_password_is_told_in_words_and_does_not_lose_the_way(site: Site, browse: Callable):
    dora = browse(site.url)
    dora.visit("/environments/staging/cloud-services/request?justification=orders")
    assert dora.path == "/sign-in"
    dora.sign_in("dora", "wrong")
    assert dora.path == "/sign-in"
    assert "The user name or the password is wrong" in dora.page.get_by_role("alert").inner_text()
    assert dora.page.get_by_label("User name").input_value() == "dora"
    assert dora.page.get_by_label("Password").input_value() == ""
    assert "wrong" not in dora.page.url
    dora.fill("Password", PASSWORD)
    dora.press("Sign in")
    assert dora.path == "/environments/staging/cloud-services/request"
    assert dora.page.get_by_label("What for?").input_value() == "orders"


def test_guessing_is_slowed_down_and_tells_nothing(site: Site, browse: Callable):
    site.add_person("victim")
    guesser = browse(site.url)
    words = set()
    for name in ("victim", "nobody-of-that-name"):
        # The wait begins at a second, which a slow machine may let pass; it soon is longer than any page takes.
        statuses = []
        while 429 not in statuses:
            statuses.append(attempt(guesser, name, f"guess {len(statuses)}"))
            assert len(statuses) <= 12, f"{name}: {statuses}"
        assert statuses[:5] == [401] * 5, f"{name}: {statuses}"
        words.add(re.sub(r"\d+ seconds?", "N", guesser.page.get_by_role("alert").inner_text()))
    assert len(words) == 1, words
    # Who has signed in from here before is not held up by what others try with other names.
    assert attempt(browse(site.url), "dora", PASSWORD) == 303


def test_the_session_cookie(site: Site, browse: Callable):
    dora = browse(site.url)
    # Fixation: what somebody has put there before is never taken over.
    planted = "csg_session_" + "A" * 43
    dora.context.add_cookies([{"name": COOKIE, "value": planted, "url": site.url}])
    dora.sign_in("dora")
    first = cookie(dora)
    assert first and first["value"] != planted
    assert (first["httpOnly"], first["sameSite"], first["path"]) == (True, "Lax", "/")
    assert COOKIE not in dora.page.evaluate("document.cookie")
    # Signing in again gives another, and ends the one before.
    again = dora.context.request.post("/sign-in", form={"username": "dora", "password": PASSWORD}, max_redirects=0)
    second = cookie(dora)
    assert again.status == 303 and second and second["value"] != first["value"]
    for token, status in ((planted, 401), (first["value"], 401), (second["value"], 200)):
        answer = browse(site.url).context.request.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={token}"})
        assert answer.status == status, token


def test_a_new_password_ends_other_sessions_and_renews_this_one(site: Site, browse: Callable):
    site.add_person("rita")
    here, there = browse(site.url).sign_in("rita"), browse(site.url).sign_in("rita")
    before = cookie(here)
    here.visit("/account")
    assert here.page.locator("table tbody tr").count() == 3, "here, there, and over the API"
    assert "127.0.0.1" in here.text() and "Chrome on Linux" in here.text()
    here.fill("Present password", PASSWORD)
    here.fill("New password", "another horse battery")
    here.press("Change password")
    assert "Your password is changed" in here.text()
    after = cookie(here)
    assert before and after and before["value"] != after["value"]
    there.visit("/account")
    assert there.path == "/sign-in"
    with pytest.raises(ApiError, match="401"):
        site.people["rita"].get("/me")
    here.sign_out()
    assert "You are signed out" in here.text() and cookie(here) is None
    here.page.go_back()
    here.page.reload()
    assert here.path == "/sign-in", "the page before is gone too"
    assert attempt(here, "rita", PASSWORD) == 401
    assert attempt(here, "rita", "another horse battery") == 303


def test_own_sessions_are_listed_and_ended(site: Site, browse: Callable):
    site.add_person("sven")
    here, there = browse(site.url).sign_in("sven"), browse(site.url).sign_in("sven")
    here.visit("/account")
    here.press("End all other sessions")
    assert "2 sessions have ended" in here.text()
    assert here.page.locator("table tbody tr").count() == 1
    there.visit("/account")
    assert there.path == "/sign-in"


def test_second_factor(site: Site, browse: Callable):
    site.add_person("tina")
    tina = browse(site.url).sign_in("tina")
    before = cookie(tina)
    key, recovery = set_up_second_factor(tina)
    after = cookie(tina)
    assert before and after and before["value"] != after["value"], "a new token"
    with pytest.raises(ApiError, match="401"):
        site.people["tina"].get("/me")  # began without a code
    tina.sign_out()

    # The password leads to the code, and opens nothing.
    tina.visit("/account")
    tina.sign_in("tina")
    assert tina.heading() == "Type your code" and cookie(tina) is None
    half = cookie(tina, "csg_half")
    assert half and half["httpOnly"] and half["sameSite"] == "Lax"
    tina.visit("/account")
    assert tina.path == "/sign-in"
    for name in (COOKIE, "csg_half"):
        other = browse(site.url)
        other.context.add_cookies([{"name": name, "value": half["value"], "url": site.url}])
        assert other.context.request.get("/api/v1/me").status == 401
    tina.visit("/sign-in/code?next=/account")
    give_code(tina, "000000")
    assert "The code is not right" in tina.page.get_by_role("alert").inner_text()
    # The code that set it up is spent; the next one is good already, as clocks differ.
    fresh = code(key, 1)
    give_code(tina, fresh)
    assert tina.path == "/account" and cookie(tina, "csg_half") is None
    tina.sign_out()
    tina.sign_in("tina")
    give_code(tina, fresh)
    assert "The code is not right, or was used already" in tina.text(), "replayed"
    give_code(tina, recovery[0].upper().replace("-", " "))
    tina.visit("/account/second-factor")
    assert "9 recovery codes left" in tina.text()
    tina.sign_out()
    tina.sign_in("tina")
    give_code(tina, recovery[0])
    assert "The code is not right" in tina.text(), "a recovery code works once"
    give_code(tina, recovery[1])
    tina.visit("/account/second-factor")

    # Off takes password and code.
    tina.fill("Password", "wrong")
    tina.page.get_by_label("Code of your app, or a recovery code").fill(recovery[2])
    tina.press("Turn the second factor off")
    assert "Is not your present password" in tina.text()
    tina.fill("Password", PASSWORD)
    tina.page.get_by_label("Code of your app, or a recovery code").fill(recovery[2])
    tina.press("Turn the second factor off")
    assert "your password alone signs you in" in tina.text()
    tina.sign_out()
    assert attempt(tina, "tina", PASSWORD) == 303
    assert tina.path != "/sign-in/code"


def test_codes_are_tried_a_few_times_only(site: Site, browse: Callable):
    site.add_person("uma")
    uma = browse(site.url).sign_in("uma")
    key, _ = set_up_second_factor(uma)
    guesser = browse(site.url).sign_in("uma")
    for _ in range(5):
        give_code(guesser, "000000")
    assert guesser.heading() == "Sign in", "back to the password"
    # With the password again there are no new tries: codes are slowed down for themselves.
    for _ in range(7):
        if guesser.path == "/sign-in" or guesser.heading() == "Sign in":
            guesser.sign_in("uma")
        give_code(guesser, "000000")
        if "There were many wrong codes" in guesser.page.get_by_role("alert").inner_text():
            break
    else:
        raise AssertionError("codes can be guessed as fast as one likes")
    events = [event for event in site.admin.events() if event["action"] == "session.refuse"]
    assert any(event["subject"] == "uma" and event["detail"] == "wrong code" for event in events)
    # An administrator lets in who has lost everything.
    with pytest.raises(ApiError, match="403"):
        site.people["anna"].call("DELETE", "/users/uma/second-factor")
    variables = {**os.environ, "CSG_URL": site.url, "CSG_TOKEN": site.session("admin")}
    done = subprocess.run([CSG, "user", "reset-second-factor", "uma"], env=variables, capture_output=True, timeout=60)
    assert done.returncode == 0, done
    uma.visit("/account")
    assert uma.path == "/sign-in"
    assert attempt(uma, "uma", PASSWORD) == 303 and uma.path != "/sign-in/code"
    assert key


def test_csg_login_asks_for_the_code(site: Site, browse: Callable, tmp_path):
    site.add_person("vera")
    key, recovery = set_up_second_factor(browse(site.url).sign_in("vera"))

    def login(typed: str, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [CSG, "login", "vera", "--url", site.url],
            input=typed,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path), **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    alone = login(f"{PASSWORD}\n")
    assert alone.returncode == 1 and "there is no code of your authenticator app" in alone.stderr, alone
    wrong = login(f"{PASSWORD}\n000000\n")
    assert wrong.returncode == 1 and "401" in wrong.stderr, wrong
    typed = login(f"{PASSWORD}\n{code(key, 1)}\n")
    assert typed.returncode == 0 and "vera is signed in" in typed.stdout, typed
    given = login(f"{PASSWORD}\n", CSG_OTP=recovery[0])
    assert given.returncode == 0, given
