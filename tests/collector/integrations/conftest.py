"""A sender `crm` behind the real door."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.collector.conftest import House, Open, listening
from tests.collector.integrations.senders import ADAPTERS, BY_HEADER, ENVIRONMENT, declare


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
