"""Brokers of the tests of streams: one of a kind for each process of tests."""

from collections.abc import Callable, Iterator

import pytest

from tests import brokers
from tests.brokers import Broker
from tests.conftest import missing


def _broker(name: str) -> Callable[..., Iterator[Broker]]:
    @pytest.fixture(scope="session", name=name)
    def fixture(free_port: Callable[[], int]) -> Iterator[Broker]:
        lacking = brokers.lacking(name)
        if lacking:
            missing(lacking)
        with brokers.running(name, free_port) as broker:
            yield broker

    return fixture


kafka, rabbitmq, nats, redis = map(_broker, ("kafka", "rabbitmq", "nats", "redis"))
