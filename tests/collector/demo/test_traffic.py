"""The bodies: valid, deterministic, without subjects, and carried as each system carries them."""

import gzip
from collections import Counter

import msgspec
import pytest

from audit.events import Event, event_of_json
from collector.adapt import carried
from collector.cloudevents import batch_of, of_json
from collector.decode import Format, split
from collector.demo import flights, model, traffic
from collector.demo.flights import Flight
from collector.demo.model import LateModel
from collector.demo.plan import month_start
from collector.demo.traffic import INTEGRATIONS, Kind
from collector.limits import Limits

_TYPES = {
    Kind.PREDICTIONS: "PredictionLogged",
    Kind.OUTCOMES: "OutcomeObserved",
    Kind.OVERSIGHT: "OversightRecorded",
}


@pytest.fixture(scope="module")
def year() -> list[Flight]:
    return flights.load(4_000)


@pytest.fixture(scope="module")
def first(year: list[Flight]) -> LateModel:
    january = [f for f in year if f.asked_us < month_start(2) and f.label is not None]
    return model.train("1", [f.inputs for f in january], [f.label or 0 for f in january])


def bodies(kind: Kind, year: list[Flight], first: LateModel) -> list[bytes]:
    found = []
    for flight in year:
        body, answer = traffic.prediction(flight, first, shadow=False)
        if kind is Kind.PREDICTIONS:
            found.append(traffic.line(body))
        elif kind is Kind.OUTCOMES:
            found.append(traffic.line(traffic.outcome(flight)))
        elif (seen := traffic.oversight(flight, answer)) is not None:
            found.append(traffic.line(seen))
    return found


@pytest.mark.parametrize("kind", list(Kind))
def test_every_body_is_a_valid_event_without_a_subject(
    kind: Kind, year: list[Flight], first: LateModel
) -> None:
    events = [event_of_json(_TYPES[kind], "ops-desk", body) for body in bodies(kind, year, first)]
    assert events
    assert all(event.subject is None for event in events)
    assert len({event.id for event in events}) == len(events)


def test_a_prediction_tells_what_it_took_and_where_it_comes_from(
    year: list[Flight], first: LateModel
) -> None:
    for flight in year[:200]:
        body, answer = traffic.prediction(flight, first, shadow=True)
        event = event_of_json("PredictionLogged", "ops-desk", traffic.line(body))
        assert event.latency_us >= 0
        assert body["latency_ms"]["total"] > 0
        assert (event.model, event.version) == (model.NAME, "1")
        assert event.event_us == flight.asked_us // 1_000_000 * 1_000_000
        assert ("flight", flight.number) in event.references
        assert event.status == ("fallback" if flight.dep_delay is None else "ok")
        assert body["model"]["lineage"]["artifact_digest"] == first.digest
        assert body["context"]["shadow"] is True
        assert len(body["explanation"]["reason_codes"]) == 3
        assert body["output"] == answer.output


def test_only_the_measured_latency_differs_when_a_body_is_made_again(
    year: list[Flight], first: LateModel
) -> None:
    again = [traffic.prediction(year[0], first, shadow=False)[0] for _ in range(2)]
    for body in again:
        del body["latency_ms"]
    assert again[0] == again[1]


def test_what_dispatchers_did_is_little_and_called_simulated(
    year: list[Flight], first: LateModel
) -> None:
    found = [msgspec.json.decode(body) for body in bodies(Kind.OVERSIGHT, year, first)]
    assert 0 < len(found) < len(year) / 50
    assert all(body["simulated"] is True for body in found)
    assert {body["action"] for body in found} == {"accept", "override"}


def test_every_system_logs_a_share_of_the_flights(year: list[Flight]) -> None:
    shares = Counter(map(traffic.integration_of, year))
    assert set(shares) == set(INTEGRATIONS)
    assert min(shares.values()) > len(year) / 50


def read(integration: str, kind: Kind, packet: traffic.Packet) -> list[Event]:
    limits = Limits()
    content = packet.content
    if packet.headers.get("Content-Encoding") == "gzip":
        content = gzip.decompress(content)
    media = packet.headers["Content-Type"]
    if media == "application/cloudevents-batch+json":
        items = batch_of(split(content, Format.JSON, limits)).raw
        return [carried(of_json(item), integration) for item in items]
    lines = Format.LINES if media == "application/x-ndjson" else Format.JSON
    return [
        event_of_json(_TYPES[kind], integration, item) for item in split(content, lines, limits).raw
    ]


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("integration", INTEGRATIONS)
def test_requests_carry_every_body_once_and_in_order(
    integration: str, kind: Kind, year: list[Flight], first: LateModel
) -> None:
    lines = bodies(kind, year[:900], first)
    carried_ids = []
    for packet in traffic.packets(integration, kind, lines):
        events = read(integration, kind, packet)
        assert len(events) == packet.events
        carried_ids += [event.id for event in events]
    assert carried_ids == [msgspec.json.decode(line)["id"] for line in lines]


def test_the_same_lines_give_the_same_requests(year: list[Flight], first: LateModel) -> None:
    lines = bodies(Kind.PREDICTIONS, year[:300], first)
    for integration in INTEGRATIONS:
        once, again = (
            list(traffic.packets(integration, Kind.PREDICTIONS, lines)) for _ in range(2)
        )
        assert once == again


def test_a_nightly_file_holds_one_day(year: list[Flight], first: LateModel) -> None:
    lines = bodies(Kind.PREDICTIONS, year, first)
    for packet in traffic.packets("airline-erp", Kind.PREDICTIONS, lines):
        days = {
            event.event_us // flights.DAY_US
            for event in read("airline-erp", Kind.PREDICTIONS, packet)
        }
        assert len(days) == 1
