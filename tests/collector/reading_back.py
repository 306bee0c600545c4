"""Whatever ingest accepted, every reader can read: the proof of it after a test has logged much."""

from typing import Any

from audit.clock import system_clock
from audit.events import micros, rfc3339
from audit.fsck import OK
from audit.schema import BODIES
from tests.audit.reading import Site, Turned, site_of
from tests.audit.stores import checked
from tests.collector.conftest import House

EVER = {"from": "1970-01-01T00:00:00Z", "to": "9998-12-31T23:59:59Z"}
TRACED = 60
"""Entries whose trace is asked for, spread over all: each asking is an entry itself."""


def assert_all_can_be_read(house: House) -> int:
    """Read everything that the store holds in every way; returns how many events were ingested."""
    size = house.store.reader.size()
    ingested = [index for index in range(size) if _entry(house, index) in BODIES]
    site = site_of(house.store, Turned(), house.store.ledger)
    with site.client:
        _pages(site, len(ingested))
        for index in ingested[:: max(1, len(ingested) // TRACED)]:
            found = _answer(site, f"/v1/entries/{index}/trace")
            states = {name: found["verdict"][name]["state"] for name in ("hash", "inclusion")}
            assert states == {"hash": "ok", "inclusion": "ok"}, index
            at_us = house.store.reader.leaf(index).event_us
            minute = {"from": rfc3339(at_us), "to": rfc3339(at_us + 60_000_000), "step": "minute"}
            for path in ("/v1/rollups", "/v1/latency"):
                _answer(site, path, **minute)
    result, said = checked(house.store.settings)
    assert result == OK, said
    return len(ingested)


def _entry(house: House, index: int) -> str:
    """The type of an entry, after its leaf, its times and its payload were read."""
    leaf = house.store.reader.leaf(index)
    for moment_us in (leaf.event_us, leaf.logged_us):
        assert micros(rfc3339(moment_us)) == moment_us
    assert leaf.logged_us <= system_clock()
    [opened] = house.store.reader.open([index])
    assert opened.body
    return leaf.type


def _pages(site: Site, ingested: int) -> None:
    """The lists, which a single entry that cannot be shown would take away from everybody."""
    _answer(site, "/v1/overview", **EVER)
    events = sum(each["events"] for each in _answer(site, "/v1/integrations")["items"])
    assert events == ingested
    for model in _answer(site, "/v1/models")["items"]:
        _answer(site, "/v1/lineage", model=model["name"])
    shown, cursor = 0, None
    while True:
        page = site.search("audit", **EVER, limit=200, **({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200, page.text
        shown += sum(row["type"] in BODIES for row in page.json()["items"])
        cursor = page.json()["next"]
        if cursor is None:
            break
    assert shown == ingested


def _answer(site: Site, path: str, **query: Any) -> dict[str, Any]:
    answer = site.get(path, "compliance", **query)
    assert answer.status_code == 200, (path, answer.text)
    found: dict[str, Any] = answer.json()
    return found
