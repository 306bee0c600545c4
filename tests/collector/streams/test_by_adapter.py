"""Streams that an integration's adapter reads: what is clean goes together, the rest by itself."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import modelwitness
from audit.clock import system_clock
from audit.events import event_of
from audit.options import Parts
from collector.adapters.wire import Adapted, Adapter, Message, Refused
from collector.errors import Invalid
from collector.integrations.apply import apply_text
from collector.integrations.declaration import Declared
from collector.integrations.running import around_of, ways_in
from collector.integrations.wiring import Wired, wired
from collector.limits import Limits
from collector.metrics import Metrics
from collector.streams.by_adapter import ByAdapter
from collector.streams.carried import Carried
from collector.streams.declaration import Stream
from collector.streams.source import Away
from collector.streams.taking import Patience, Taken

INTEGRATION = """
kind: integration
name: serving
adapter: kserve
credential: {verify: header, secrets: [env:SECRET], options: {header: x-secret}}
model: {name: fraud, version: "3"}
"""


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with modelwitness.opened(tmp_path / "data") as opened:
        apply(opened, INTEGRATION)
        yield opened


def apply(parts: Parts, text: str) -> None:
    apply_text(parts.store.ledger, parts.store.documents, text, "test", clock=system_clock)


def stream(format: str = "integration", integration: str = "serving") -> Stream:
    return Stream(
        name="s", broker="kafka", address="x", topics=("t",), group="g", integration=integration,
        format=format,
    )  # fmt: skip


def take(parts: Parts, messages: Sequence[Carried], of: Stream | None = None) -> Taken:
    async def run() -> Taken:
        ways = ways_in(parts)
        patience = Patience(asyncio.Event(), lambda _: None)
        taker = ByAdapter(
            ways.intake, ways.registered.get, ways.adapters, Limits(), system_clock, patience
        )
        return await taker.log(await taker.read(of or stream(), messages))

    return asyncio.run(run())


def logged(number: int, side: str, body: object) -> Carried:
    """What KServe's agent sends through a broker in Kafka: a CloudEvent in binary mode."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"c-{number}",
        "ce_source": "http://localhost:9081/",
        "ce_type": f"org.kubeflow.serving.inference.{side}",
        "ce_time": "2026-01-01T00:00:00Z",
        "ce_inferenceservicename": "fraud",
    }
    return Carried(
        place=f"t/0/{number}",
        lane="t/0",
        body=json.dumps(body).encode(),
        headers=tuple((name.encode(), value.encode()) for name, value in headers.items()),
        content_type="application/json",
    )


def call(number: int) -> list[Carried]:
    return [
        logged(number, "request", {"instances": [[1, 2]]}),
        logged(number, "response", {"predictions": [number]}),
    ]


def predictions(parts: Parts) -> list[dict[str, object]]:
    reader = parts.store.reader
    opened = reader.open(range(reader.size()))
    return [json.loads(each.body) for each in opened if each.leaf.type == "PredictionLogged"]


def test_halves_of_calls_become_predictions(parts: Parts) -> None:
    messages = [each for number in range(20) for each in call(number)]
    taken = take(parts, messages)
    assert taken.quarantined == 0
    found = predictions(parts)
    assert [each["output"] for each in found] == list(range(20))
    assert {json.dumps(each["inputs"]) for each in found} != {"{}"}
    take(parts, messages)
    assert len(predictions(parts)) == 20


def test_a_message_that_cannot_be_read_is_kept_whole_and_can_be_replayed(parts: Parts) -> None:
    strange = logged(1, "explanation", {})
    taken = take(parts, [*call(0), strange, *call(2)])
    assert taken.quarantined == 1
    assert len(predictions(parts)) == 2
    quarantine = ways_in(parts).quarantine
    [summary] = quarantine.list("serving")[0]
    message = quarantine.get(summary.id).message
    assert message is not None
    assert (message.body, message.url) == (strange.body, "kafka:t/0/1")
    assert (b"ce_type", b"org.kubeflow.serving.inference.explanation") in message.headers


def test_a_tombstone_is_counted(parts: Parts) -> None:
    assert take(parts, [Carried(place="t/0/1", lane="t/0", body=None)]) == Taken(tombstones=1)


@pytest.mark.parametrize("of", [stream(integration="nobody"), stream("seldon")])
def test_an_integration_that_is_not_declared_so_is_waited_for(parts: Parts, of: Stream) -> None:
    with pytest.raises(Away):
        take(parts, call(1), of)


def test_clean_neighbours_go_together_and_order_is_kept(parts: Parts) -> None:
    asked: list[str] = []
    adapter = Adapter(name="letters", read=_read_letter)

    class Way:
        """The real way in, whose calls are written down."""

        def __init__(self, ways: Wired) -> None:
            self._intake = ways.intake

        async def take(self, message: Message, declared: Declared, adapter: Adapter) -> object:
            asked.append(f"take {message.body.decode()}")
            return await self._intake.take(message, declared, adapter)

        async def log(
            self, about: Message, adapted: Adapted, declared: Declared, adapter: Adapter
        ) -> object:
            asked.append(f"log {len(adapted.events)}")
            return await self._intake.log(about, adapted, declared, adapter)

    async def run() -> Taken:
        metrics = Metrics(CollectorRegistry(), lambda: 0)
        store = parts.store
        ways = wired(store.ledger, store.work, system_clock, Limits(), metrics, around_of(parts))
        taker = ByAdapter(
            Way(ways),  # type: ignore[arg-type]  # answers are passed on as they are
            lambda name: Declared(name=name, adapter="letters"),
            {"letters": adapter},
            Limits(),
            system_clock,
            Patience(asyncio.Event(), lambda _: None),
        )
        sent = [
            Carried(place=f"t/0/{at}", lane="t/0", body=letter.encode())
            for at, letter in enumerate("abc!de")
        ]
        return await taker.log(await taker.read(stream(), sent))

    taken = asyncio.run(run())
    assert asked == ["log 3", "take !", "log 2"]
    assert taken == Taken(logged=5, quarantined=1)
    assert [each["id"] for each in predictions(parts)] == list("abcde")


def _read_letter(message: Message, declared: Declared) -> Adapted:
    letter = message.unpacked.decode()
    if letter == "!":
        return Adapted(refused=[Refused(message.body, Invalid("no letter"))])
    body = {
        "id": letter,
        "time": "2026-01-01T00:00:00Z",
        "model": {"name": "m", "version": "1"},
        "inputs": {},
    }
    return Adapted([event_of("PredictionLogged", declared.name, body)])
