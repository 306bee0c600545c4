"""Tokens: what is stored of them, when they work, how soon they stop."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from audit.errors import NotFound, Rejected
from audit.roles import Principal, Unauthenticated
from audit.tokens import LAG_US, Tokens
from tests.audit.reading import Site, open_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = open_site(tmp_path)
    yield found
    found.store.close()


def other_process(site: Site) -> Tokens:
    """Tokens as another process of the same store has them."""
    return Tokens(site.ledger, site.store.documents, clock=site.clock, random=bytes)


def test_a_token_stands_for_whom_it_was_issued_to(site: Site) -> None:
    text = site.tokens.issue("web", ["integration"], integration="web")
    principal = site.tokens.authenticate(text)
    assert (principal.actor, principal.roles, principal.integration) == (
        "web",
        ("integration",),
        "web",
    )
    assert text.startswith("mw_")
    assert len(text) == 46


def test_no_byte_of_a_token_is_stored(site: Site, tmp_path: Path) -> None:
    text = site.tokens.issue("ann", ["audit"])
    connection = sqlite3.connect(tmp_path / "ledger.db")
    stored = "\n".join(connection.iterdump())
    connection.close()
    assert text not in stored
    assert text[3:] not in stored
    assert text.encode().hex() not in stored.lower()


def test_a_revoked_token_is_refused_at_once_here_and_within_a_second_elsewhere(site: Site) -> None:
    text = site.tokens.issue("ann", ["audit"])
    elsewhere = other_process(site)
    hash = elsewhere.authenticate(text).token
    site.tokens.authenticate(text)
    site.tokens.revoke(hash, by="ops-person")
    with pytest.raises(Unauthenticated):
        site.tokens.authenticate(text)
    assert LAG_US < 1_000_000
    site.clock.ahead_us += LAG_US
    assert elsewhere.remembered(text) is None
    with pytest.raises(Unauthenticated):
        elsewhere.authenticate(text)


def test_revoking_twice_is_once_and_an_unknown_hash_is_not_found(site: Site) -> None:
    hash = site.tokens.authenticate(site.tokens.issue("ann", ["audit"])).token
    site.tokens.revoke(hash, by="ops-person")
    size = site.store.reader.size()
    site.tokens.revoke(hash, by="ops-person")
    assert site.store.reader.size() == size
    with pytest.raises(NotFound):
        site.tokens.revoke("00" * 32, by="ops-person")


def test_a_token_ends_at_its_time_even_when_remembered(site: Site) -> None:
    text = site.tokens.issue("ann", ["audit"], seconds=60)
    site.tokens.authenticate(text)
    site.clock.ahead_us += 60_000_000
    assert site.tokens.remembered(text) is None
    with pytest.raises(Unauthenticated):
        site.tokens.authenticate(text)


@pytest.mark.parametrize("text", ["", "mw_", "mw_" + "A" * 43, "x" * 10_000, "mw_\udcff", "é"])
def test_what_is_no_token_is_refused_like_an_unknown_one(site: Site, text: str) -> None:
    with pytest.raises(Unauthenticated, match="missing, unknown, expired or revoked"):
        site.tokens.authenticate(text)


def test_a_clock_set_back_does_not_keep_a_token_alive(site: Site) -> None:
    text = site.tokens.issue("ann", ["audit"])
    site.tokens.authenticate(text)
    site.clock.ahead_us -= 10_000_000
    assert site.tokens.remembered(text) is None


@pytest.mark.parametrize(
    ("roles", "integration"),
    [([], None), (["root"], None), (["integration"], None), (["integration"], "modelwitness")],
)
def test_a_token_that_makes_no_sense_is_not_issued(
    site: Site, roles: list[str], integration: str | None
) -> None:
    with pytest.raises(Rejected):
        site.tokens.issue("ann", roles, integration=integration)


def test_tokens_are_listed_by_hash_with_what_became_of_them(site: Site) -> None:
    hashes = {
        site.tokens.authenticate(site.tokens.issue(actor, ["audit"])).token
        for actor in ("ann", "bob")
    }
    gone = min(hashes)
    site.tokens.revoke(gone, by="ops-person")
    listed = site.tokens.listed()
    assert {each.hash for each in listed} == hashes
    assert [each.hash for each in listed if each.revoked_us is not None] == [gone]
    assert site.tokens.listed(after=gone) == [each for each in listed if each.hash != gone]


def test_many_threads_may_ask_at_once(site: Site) -> None:
    text = site.tokens.issue("ann", ["audit"])
    found: list[Principal] = []
    threads = [
        Thread(target=lambda: found.append(site.tokens.authenticate(text))) for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 8
    assert {each.actor for each in found} == {"ann"}
