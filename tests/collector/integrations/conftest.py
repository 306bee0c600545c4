"""A sender `crm` behind the real door; and a ledger that is sound, whatever came in by it."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from audit.documents import Projection
from audit.fsck import OK
from tests.audit.stores import checked
from tests.collector.conftest import House, Open, listening
from tests.collector.integrations.senders import ADAPTERS, BY_HEADER, ENVIRONMENT, declare


@pytest.fixture
def opened(opened: Open) -> Iterator[Open]:
    """As everywhere, and every store passes `fsck --deep` at the end of its test."""
    houses: list[House] = []

    def remembered(*projections: Projection, **how: Any) -> House:
        assert not projections, "fsck would have to know them"
        houses.append(opened(**how))
        return houses[-1]

    yield remembered
    for house in houses:
        result, said = checked(house.store.settings)
        assert result == OK, said


@pytest.fixture
def crm(opened: Open) -> House:
    """A house with the sender `crm`, which shows a secret in a header."""
    found = opened(adapters=ADAPTERS, environment=ENVIRONMENT)
    declare(found, BY_HEADER.format(name="crm"))
    return found


@pytest.fixture
def web(crm: House, free_port: Callable[[], int]) -> Iterator[httpx.Client]:
    """A client of that house on a real server and socket."""
    with (
        listening(crm.app, free_port()) as address,
        httpx.Client(base_url=address, timeout=20) as client,
    ):
        yield client
