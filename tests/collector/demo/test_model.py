"""The model: learns, explains itself exactly, and is its own small file."""

import math

import pytest

from collector.demo import flights, model
from collector.demo.errors import DemoError
from collector.demo.flights import Flight
from collector.demo.plan import month_start
from collector.demo.retraining import Labelled, measure


@pytest.fixture(scope="module")
def year() -> list[Flight]:
    return [flight for flight in flights.load(12_000) if flight.label is not None]


def learned(year: list[Flight], first: int, last: int) -> Labelled:
    span = [f for f in year if month_start(first) <= f.asked_us < month_start(last + 1)]
    return Labelled("flights", "-", [f.inputs for f in span], [f.label or 0 for f in span])


def test_the_model_beats_the_base_rate_on_months_it_has_not_seen(year: list[Flight]) -> None:
    january, march = learned(year, 1, 1), learned(year, 3, 3)
    trained = model.train("1", january.rows, january.labels)
    accuracy, brier = measure(trained, march.rows, march.labels)
    share = sum(march.labels) / len(march.labels)
    assert accuracy > 1 - share + 0.05
    assert brier < share * (1 - share) * 0.6


def test_a_version_that_learned_more_months_is_another_version(year: list[Flight]) -> None:
    january, summer = learned(year, 1, 1), learned(year, 1, 7)
    first = model.train("1", january.rows, january.labels)
    second = model.train("2", summer.rows, summer.labels)
    assert first.digest != second.digest
    inputs = summer.rows[0]
    assert first.predict(inputs).score != second.predict(inputs).score


def test_the_same_rows_give_the_same_artifact(year: list[Flight]) -> None:
    january = learned(year, 1, 1)
    trained = [model.train("1", january.rows, january.labels) for _ in range(2)]
    assert trained[0].artifact == trained[1].artifact


def test_an_artifact_read_back_predicts_the_same(year: list[Flight]) -> None:
    january = learned(year, 1, 1)
    trained = model.train("1", january.rows, january.labels)
    read = model.load(trained.artifact)
    assert read.digest == trained.digest
    assert [read.predict(row) for row in january.rows] == [
        trained.predict(row) for row in january.rows
    ]


def test_contributions_and_baseline_add_up_to_the_score(year: list[Flight]) -> None:
    january = learned(year, 1, 1)
    trained = model.train("1", january.rows, january.labels)
    for row in january.rows[:200]:
        answer = trained.predict(row)
        odds = trained.baseline + sum(answer.contributions.values())
        assert answer.score == pytest.approx(1 / (1 + math.exp(-odds)))
        assert set(answer.contributions) == set(row)


def test_the_average_training_flight_has_no_contributions(year: list[Flight]) -> None:
    """So that a contribution reads as: compared with the average flight."""
    january = learned(year, 1, 1)
    trained = model.train("1", january.rows, january.labels)
    sums = dict.fromkeys(january.rows[0], 0.0)
    for row in january.rows:
        for name, added in trained.predict(row).contributions.items():
            sums[name] += added
    assert all(abs(total / len(january.rows)) < 1e-6 for total in sums.values())


def test_an_unknown_airport_and_an_unknown_delay_still_get_an_answer(year: list[Flight]) -> None:
    january = learned(year, 1, 1)
    trained = model.train("1", january.rows, january.labels)
    answer = trained.predict({**january.rows[0], "dest": "ZZZ", "dep_delay": None})
    assert 0 < answer.score < 1


def test_too_few_flights_are_refused_with_a_remedy(year: list[Flight]) -> None:
    january = learned(year, 1, 1)
    with pytest.raises(DemoError, match="take a larger sample"):
        model.train("1", january.rows[:20], january.labels[:20])


def test_a_damaged_artifact_is_refused() -> None:
    with pytest.raises(DemoError, match="damaged"):
        model.load(b'{"version": 1')
