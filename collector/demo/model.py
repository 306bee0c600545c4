"""The model of the demonstration: will this flight arrive 15 minutes late or more?

A logistic regression over what is known when the flight leaves the gate. scikit-learn fits it;
what is kept is its coefficients as JSON, so that the artifact has a digest that anyone can
recompute, loading it runs no code, and every prediction explains itself exactly: the
contributions and the baseline add up to the log-odds.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from collector.demo.errors import DemoError

NAME: Final = "late-arrival"
FEATURE_SET: Final = "gate-v1"
THRESHOLD: Final = 0.5
MINIMUM_ROWS: Final = 60
RARE: Final = 20
CATEGORIES: Final = ("carrier", "origin", "dest")
NUMBERS: Final = ("dep_delay", "sched_minute", "planned_minutes")
OTHER: Final = "(other)"


class Term(Struct, frozen=True):
    """One numeric term: the input clipped to [low, high], centred and scaled, times a weight."""

    feature: str
    low: float
    high: float
    mean: float
    scale: float
    weight: float


class Answer(Struct, frozen=True):
    """A prediction: the probability of late, and what each input added to the log-odds."""

    score: float
    output: str
    contributions: dict[str, float]

    @property
    def reasons(self) -> list[str]:
        """The three inputs that weigh most, and which way."""
        heavy = sorted(self.contributions.items(), key=lambda item: -abs(item[1]))[:3]
        return [f"{name}:{'later' if value > 0 else 'sooner'}" for name, value in heavy]


class LateModel(Struct, frozen=True, dict=True):
    """A trained version. `levels` holds the weight of each category, centred on the training
    rows; `fill` stands in for a departure delay that is not known; `baseline` is the log-odds of
    the average training flight."""

    version: str
    baseline: float
    fill: float
    terms: tuple[Term, ...]
    levels: dict[str, dict[str, float]]
    rows: int
    late_share: float

    @cached_property
    def artifact(self) -> bytes:
        """The file of this version: JSON, keys sorted."""
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1)

    @cached_property
    def digest(self) -> str:
        return digest_of(self.artifact)

    def predict(self, inputs: Mapping[str, Any]) -> Answer:
        """Answer for one flight; an unknown category counts as the average of the rare ones."""
        contributions: dict[str, float] = {}
        for term in self.terms:
            value = inputs[term.feature]
            value = self.fill if value is None else value
            value = min(max(value, term.low), term.high)
            added = (value - term.mean) / term.scale * term.weight
            contributions[term.feature] = contributions.get(term.feature, 0.0) + added
        for name in CATEGORIES:
            weights = self.levels[name]
            contributions[name] = weights.get(inputs[name], weights[OTHER])
        score = 1 / (1 + math.exp(-(self.baseline + sum(contributions.values()))))
        output = "late" if score >= THRESHOLD else "on-time"
        return Answer(score, output, contributions)


_decode_late_model = msgspec.json.Decoder(LateModel).decode


def load(artifact: bytes) -> LateModel:
    """The version that a file holds; raises `DemoError` when it is damaged."""
    try:
        return _decode_late_model(artifact)
    except msgspec.MsgspecError as error:
        raise DemoError("a model file is damaged: remove it and run again") from error


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def dataset_of(rows: Sequence[Mapping[str, Any]], labels: Sequence[int]) -> bytes:
    """The canonical bytes of a training set, whose digest names it in the lineage."""
    encode = msgspec.json.Encoder(order="deterministic").encode
    return b"\n".join(
        encode({**row, "late": label}) for row, label in zip(rows, labels, strict=True)
    )


def train(version: str, rows: Sequence[Mapping[str, Any]], labels: Sequence[int]) -> LateModel:
    """Fit a version on inputs and labels (1 late, 0 on time).

    Raises `DemoError` for fewer than 60 rows or labels of one kind only. The same rows give the
    same artifact.
    """
    if len(rows) < MINIMUM_ROWS or len(set(labels)) < 2:
        raise DemoError(f"{len(rows)} labelled flights do not train a model; take a larger sample")
    known = [row["dep_delay"] for row in rows if row["dep_delay"] is not None]
    fill = round(float(np.mean(known)), 3)
    shapes = (
        ("dep_delay", -20.0, 120.0),
        ("dep_delay", 5.0, 60.0),
        *((name, -math.inf, math.inf) for name in NUMBERS[1:]),
    )
    numbers = np.column_stack(
        [
            np.clip([fill if row[name] is None else float(row[name]) for row in rows], low, high)
            for name, low, high in shapes
        ]
    )
    mean, scale = numbers.mean(axis=0), numbers.std(axis=0)
    scale[scale == 0] = 1.0
    kept = {name: _frequent(rows, name) for name in CATEGORIES}
    matrix = np.hstack(
        [(numbers - mean) / scale, *(_one_hot(rows, name, kept[name]) for name in CATEGORIES)]
    )
    fitted = LogisticRegression(C=0.5, max_iter=500).fit(matrix, np.asarray(labels))
    weights = [float(weight) for weight in fitted.coef_[0]]
    terms = tuple(
        Term(name, max(low, -1e9), min(high, 1e9), _tidy(m), _tidy(s), _tidy(w))
        for (name, low, high), m, s, w in zip(shapes, mean, scale, weights, strict=False)
    )
    levels, shift = _levels(matrix, weights, kept, len(shapes))
    return LateModel(
        version=version,
        baseline=_tidy(float(fitted.intercept_[0]) + shift),
        fill=fill,
        terms=terms,
        levels=levels,
        rows=len(rows),
        late_share=_tidy(float(np.mean(labels))),
    )


def _tidy(value: float) -> float:
    """Nine digits: what is rounded away is far below the fit's own tolerance."""
    return float(f"{float(value):.9g}")


def _frequent(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    counts = Counter(row[name] for row in rows)
    return [*sorted(level for level, count in counts.items() if count >= RARE), OTHER]


def _one_hot(
    rows: Sequence[Mapping[str, Any]], name: str, levels: Sequence[str]
) -> NDArray[np.float64]:
    places = {level: place for place, level in enumerate(levels)}
    matrix = np.zeros((len(rows), len(levels)))
    for position, row in enumerate(rows):
        matrix[position, places.get(row[name], places[OTHER])] = 1.0
    return matrix


def _levels(
    matrix: NDArray[np.float64], weights: Sequence[float], kept: Mapping[str, list[str]], start: int
) -> tuple[dict[str, dict[str, float]], float]:
    """Weights of the categories, each set centred on the training rows, and what centring moved."""
    found: dict[str, dict[str, float]] = {}
    moved = 0.0
    for name, levels in kept.items():
        part = np.asarray(weights[start : start + len(levels)])
        centre = float(matrix[:, start : start + len(levels)].mean(axis=0) @ part)
        found[name] = {
            level: _tidy(weight - centre) for level, weight in zip(levels, part, strict=True)
        }
        moved += centre
        start += len(levels)
    return found, moved
