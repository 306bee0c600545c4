"""One-time codes: good once, for ten minutes, and never stored."""

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audit.errors import Rejected
from audit.roles import Unauthenticated
from audit.signin import CODE_SECONDS, SESSION_SECONDS, offer, redeem
from tests.audit.reading import Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = open_site(tmp_path)
    yield found
    found.store.close()


def code_for(site: Site, *roles: str) -> str:
    return offer(site.store.work, "ann", roles, clock=site.clock, random=os.urandom)


def test_a_code_gives_a_session_of_twelve_hours(site: Site) -> None:
    session = redeem(site.store.work, site.tokens, code_for(site, "audit"), clock=site.clock)
    assert (session.actor, session.roles) == ("ann", ("audit",))
    assert site.tokens.authenticate(session.token).actor == "ann"
    site.clock.ahead_us += SESSION_SECONDS * 1_000_000
    with pytest.raises(Unauthenticated):
        site.tokens.authenticate(session.token)


def test_a_code_works_once_even_when_many_try_it_at_once(site: Site) -> None:
    code = code_for(site, "audit")

    def attempt(_: int) -> bool:
        try:
            redeem(site.store.work, site.tokens, code, clock=site.clock)
        except Unauthenticated:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(6))) == 1


def test_a_code_ends_after_ten_minutes(site: Site) -> None:
    code = code_for(site, "audit")
    site.clock.ahead_us += CODE_SECONDS * 1_000_000
    with pytest.raises(Unauthenticated):
        redeem(site.store.work, site.tokens, code, clock=site.clock)


def test_an_unknown_code_is_refused(site: Site) -> None:
    with pytest.raises(Unauthenticated):
        redeem(site.store.work, site.tokens, "guess", clock=site.clock)


def test_no_code_is_for_nobody_or_for_unknown_roles(site: Site) -> None:
    for roles in ((), ("root",)):
        with pytest.raises(Rejected):
            code_for(site, *roles)


def test_the_code_itself_is_not_stored(site: Site, tmp_path: Path) -> None:
    code = code_for(site, "audit")
    connection = sqlite3.connect(tmp_path / "ledger.db")
    stored = "\n".join(connection.iterdump())
    connection.close()
    assert code not in stored
    assert code.encode().hex() not in stored.lower()


def test_sign_in_over_http_answers_a_token_once(site: Site) -> None:
    code = code_for(site, "compliance")
    with site.client as client:
        first = client.post("/v1/signin", json={"code": code})
        again = client.post("/v1/signin", json={"code": code})
        headers = {"Authorization": f"Bearer {first.json()['token']}"}
        me = client.get("/v1/me", headers=headers).json()
    assert first.status_code == 200
    assert set(first.json()) == {"token", "actor", "roles"}
    assert again.status_code == 401
    assert (me["actor"], me["roles"]) == ("ann", ["compliance"])
    assert me["can"]["search_metadata"] == "allow"
    assert me["can"]["destroy_key"] == "deny"


def test_sign_out_ends_the_session_on_the_server_and_keeps_that_it_did(site: Site) -> None:
    session = redeem(site.store.work, site.tokens, code_for(site, "audit"), clock=site.clock)
    other = site.bearer("audit")
    mine = {"Authorization": f"Bearer {session.token}"}
    with site.client as client:
        assert client.get("/v1/me", headers=mine).status_code == 200
        answer = client.post("/v1/signout", headers=mine)
        assert (answer.status_code, answer.json()) == (200, {"actor": "ann"})
        assert client.get("/v1/me", headers=mine).status_code == 401
        assert client.post("/v1/signout", headers=mine).status_code == 401
        assert client.get("/v1/me", headers=other).status_code == 200
    ended = [each for each in site.tokens.listed() if each.revoked]
    assert [each.actor for each in ended] == ["ann"]


def test_sign_out_needs_a_token(site: Site) -> None:
    with site.client as client:
        assert client.post("/v1/signout").status_code == 401
