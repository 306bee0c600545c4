"""Declarations in force, and what is told of one that cannot be read."""

import logging
from collections.abc import Iterable

import msgspec
import pytest

from audit.catalog import DeclaredDocument
from collector.integrations.registered import LAG_US, Registered


class Documents:
    """What was applied, as stored."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    def put(self, name: str, adapter: object) -> None:
        declaration = {"name": name, "adapter": adapter, "hidden": "hunter2"}
        found = DeclaredDocument(name, 1, "2026-01-01T00:00:00Z", declaration=declaration)
        self.stored[name] = msgspec.json.encode(found)

    def each(self, kind: str) -> Iterable[tuple[str, bytes]]:
        return self.stored.items()


def test_a_declaration_that_is_not_understood_is_told_once_and_sinks_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0
    documents = Documents()
    documents.put("crm", "zendesk")
    documents.put("new", {"of": "a later version"})
    registered = Registered(documents, lambda: now)
    with caplog.at_level(logging.ERROR, "modelwitness"):
        for _ in range(3):
            assert list(registered.all()) == ["crm"]
            assert registered.strange == {"new"}
            now += LAG_US
        assert [each.levelname for each in caplog.records] == ["ERROR"]
        assert "integration new" in caplog.text
        assert "hunter2" not in caplog.text
        documents.put("new", ["applied again"])
        assert registered.get("new") is None
        assert len(caplog.records) == 2
    documents.put("new", "zendesk")
    now += LAG_US
    assert registered.get("new") is not None
    assert registered.strange == frozenset()
