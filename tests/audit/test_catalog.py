"""The registry's documents: what each event leaves, and that replaying leaves the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit import rebuild
from audit.catalog import (
    INTEGRATION,
    VERSION,
    Catalog,
    DeclaredDocument,
    Released,
    Run,
    window_looks,
)
from audit.roles import Principal
from tests.audit.reading import RANGE, Site, open_site, prediction


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = open_site(tmp_path)
    yield found
    found.store.close()


def release(site: Site, id: str, version: str = "1", **fields: Any) -> int:
    model = {"name": "credit", "version": version, "lineage": {"training_run": id}}
    body = {"id": id, "time": RANGE["from"], "model": model, **fields}
    return site.log(body, type="VersionReleased")


def documents(site: Site) -> dict[str, list[tuple[str, bytes]]]:
    return {kind: site.store.documents.list(kind) for kind in sorted(Catalog.kinds)}


def test_the_newest_release_of_a_version_wins(site: Site) -> None:
    release(site, "run-1")
    index = release(site, "run-2", case="c1", metrics={"auc": 0.8})
    stored = site.store.documents.get(VERSION, "credit 1 web")
    assert stored is not None
    assert msgspec.json.decode(stored, type=Released) == Released(
        model="credit",
        version="1",
        index=index,
        time=RANGE["from"],
        integration="web",
        lineage={"training_run": "run-2"},
        case="c1",
        metrics={"auc": 0.8},
    )


def test_an_integration_is_declared_by_name_or_by_whoever_declares_it(site: Site) -> None:
    site.log({"id": "1", "time": RANGE["from"], "owner": "ann"}, type="IntegrationDeclared")
    site.log(
        {"id": "2", "time": RANGE["from"], "name": "batch", "cadence": "1d"},
        type="IntegrationDeclared",
        by="modelwitness",
    )
    found = {
        key: msgspec.json.decode(body, type=DeclaredDocument)
        for key, body in site.store.documents.list(INTEGRATION)
    }
    assert found["web"].owner == "ann"
    assert found["batch"].cadence == "1d"


def observe(site: Site, id: str, **fields: Any) -> None:
    site.log({"id": id, "time": RANGE["from"], "run": "r-1", **fields}, type="LineageObserved")


def test_the_events_of_a_run_add_up_whatever_their_order(site: Site) -> None:
    observe(site, "a", state="START", job="ml/train", inputs=[{"name": "loans"}, {"name": "rates"}])
    observe(site, "c", state="COMPLETE", inputs=[{"name": "loans", "digest": "1"}])
    observe(site, "b", state="RUNNING", outputs=[{"name": "model"}])
    observe(site, "d", run="", job="a job by itself")
    [(_, body)] = site.store.documents.list("run")
    found = msgspec.json.decode(body, type=Run)
    assert (found.job, found.state) == ("ml/train", "COMPLETE")
    assert found.inputs == {"loans": "1", "rates": None}
    assert found.outputs == {"model": None}


def test_a_later_word_about_a_version_adds_to_what_was_told(site: Site) -> None:
    release(site, "run-1")
    site.log(
        {"id": "alias", "time": RANGE["from"], "model": {"name": "credit", "version": "1"}},
        type="VersionReleased",
    )
    [(_, body)] = site.store.documents.list("version")
    assert msgspec.json.decode(body, type=Released).lineage["training_run"] == "run-1"


def test_a_page_of_entries_leaves_a_document_for_each_block_and_not_for_each_entry(
    site: Site,
) -> None:
    first = site.log(*(prediction(n) for n in range(100)))
    site.access.record(Principal("ann", ("audit",)), "search", indexes=range(first, first + 100))
    assert len(site.store.documents.list("looked")) == 2
    for index in (first, first + 63, first + 64, first + 99):
        assert len(site.access.looked(site.store.reader.leaf(index))) == 1


def test_the_key_of_a_window_looked_at_does_not_depend_on_who_looked(site: Site) -> None:
    """Keys are clear: whoever holds the database could try names against a hash of one."""
    window = {"model": "credit", **RANGE}
    for actor in ("ann", "bob", "ann"):
        site.access.record(Principal(actor, ("audit",)), "drift", filter=window)
    [(_, body)] = site.store.documents.list("looked-at")
    looks = window_looks(body)
    assert [look.actor for look in looks] == ["bob", "ann"]
    index = site.log(prediction(1))
    told = [look.actor for look in site.access.looked(site.store.reader.leaf(index))]
    assert told == ["ann", "bob"]


def test_replaying_the_ledger_leaves_the_same_documents(site: Site) -> None:
    release(site, "run-1")
    release(site, "run-2", version="2")
    observe(site, "a", state="START", inputs=[{"name": "loans"}])
    site.log({"id": "1", "time": RANGE["from"], "owner": "ann"}, type="IntegrationDeclared")
    hash = site.tokens.authenticate(site.tokens.issue("ann", ["audit"], seconds=9)).token
    site.tokens.issue("bob", ["ops"])
    site.tokens.revoke(hash, by="bob")
    site.access.record(Principal("ann", ("audit",)), "search", indexes=[0, 1])
    window = {"model": "credit", **RANGE}
    site.access.record(Principal("ann", ("audit",)), "drift", filter=window)
    site.access.record(Principal("ann", ("audit",)), "drift", filter=window)
    before = documents(site)
    assert {kind: len(rows) for kind, rows in before.items()} == {
        "integration": 1,
        "looked": 1,
        "looked-at": 1,
        "run": 1,
        "token": 2,
        "version": 2,
    }
    rebuild.run(site.store)
    assert documents(site) == before
