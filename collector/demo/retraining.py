"""What the local retrainer does with an approved case: it really trains the next version.

Decides what a version learns from (the labelled export of the case and what the version before
it had learned from), how it is measured (on the last quarter of the export, which a trial fit has
not seen) and what is said of it in VersionReleased. Hides Parquet and the folder of models.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from collector.demo import model as models
from collector.demo.client import Client
from collector.demo.errors import DemoError, TooSlow
from collector.demo.model import CATEGORIES, FEATURE_SET, NAME, NUMBERS, LateModel
from collector.demo.retrainer import Order

_LOOK_SECONDS: Final = 0.5
LABELS: Final = {"late": 1, "on-time": 0}


class Labelled(Struct, frozen=True):
    """Inputs with their labels (1 late, 0 on time); name and digest are for the lineage."""

    name: str
    digest: str
    rows: Sequence[Mapping[str, Any]]
    labels: Sequence[int]

    @property
    def reference(self) -> dict[str, str]:
        """The data set as a lineage names it."""
        return {"name": self.name, "digest": self.digest}


class Shelf:
    """The folder of models: one artifact for each version, and what was said at its release."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def artifact(self, version: str) -> Path:
        return self._folder / f"{NAME}-{version}.json"

    def get(self, version: str) -> LateModel | None:
        path = self.artifact(version)
        return models.load(path.read_bytes()) if path.exists() else None

    def release(self, version: str) -> dict[str, Any] | None:
        """The VersionReleased body of a version, as it was first sent."""
        path = self._released(version)
        return msgspec.json.decode(path.read_bytes()) if path.exists() else None

    def for_case(self, case: str) -> str | None:
        """The version that was trained for a case."""
        for path in sorted(self._folder.glob(f"{NAME}-*.release.json")):
            body = msgspec.json.decode(path.read_bytes())
            if body.get("case") == case:
                return str(body["model"]["version"])
        return None

    def next_version(self) -> str:
        number = 1
        while self.artifact(str(number)).exists():
            number += 1
        return str(number)

    def put(self, model: LateModel, release: dict[str, Any]) -> None:
        """Keep a version; the release is written last and marks it as complete."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for path, content in (
            (self.artifact(model.version), model.artifact),
            (self._released(model.version), msgspec.json.encode(release)),
        ):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(path)

    def _released(self, version: str) -> Path:
        return self._folder / f"{NAME}-{version}.release.json"


class Retraining:
    """Obeys orders, one after the other. `now` is the time of a release, RFC 3339: that of the
    real world, as with every act of governance here; only the flights are of 2013."""

    def __init__(
        self, api: Client, shelf: Shelf, learned: Labelled, now: Callable[[], str]
    ) -> None:
        self._api = api
        self._shelf = shelf
        self._learned = learned
        self._now = now
        self._done = threading.Condition()
        self._results: dict[str, LateModel | DemoError] = {}

    def obey(self, order: Order) -> None:
        """Train and release the version that the case asks for; failures are kept for `wait`."""
        result: LateModel | DemoError
        try:
            result = self._trained(order)
        except DemoError as error:
            result = error
        except (ValueError, OSError, KeyError) as error:
            result = DemoError(f"training for case {order.case} failed: {type(error).__name__}")
        with self._done:
            self._results[order.case] = result
            self._done.notify_all()

    def wait(self, case: str, seconds: float, watch: Callable[[], None]) -> LateModel:
        """The version trained for a case; raises what stopped it, or `TooSlow`.

        `watch` is called every now and then, and may raise.
        """
        kept = self._shelf.for_case(case)
        deadline = time.monotonic() + seconds
        with self._done:
            while case not in self._results and kept is None and time.monotonic() < deadline:
                watch()
                self._done.wait(_LOOK_SECONDS)
            result = self._results.get(case) or (kept and self._shelf.get(kept))
        if isinstance(result, DemoError):
            raise result
        if not isinstance(result, LateModel):
            raise TooSlow(
                f"no request to retrain arrived for case {case} in {seconds:.0f} s: "
                "look at its state on the page Alerts & retraining"
            )
        return result

    def _trained(self, order: Order) -> LateModel:
        self._api.post(order.acknowledge, {})
        version = self._shelf.for_case(order.case)
        if version is None:
            export = read_export(self._api.download(order.labels), order.case)
            version = self._shelf.next_version()
            before = self._shelf.get(order.model.version)
            model, release = retrain(version, order, before, self._learned, export)
            self._shelf.put(model, {**release, "time": self._now()})
        release = self._shelf.release(version) or {}
        announce(self._api, release)
        model_now = self._shelf.get(version)
        if model_now is None:
            raise DemoError(f"the file of version {version} is gone: remove its release file too")
        return model_now


def read_export(parquet: bytes, case: str) -> Labelled:
    """The labelled flights of an export, in the order of time.

    Only observed outcomes teach; flights that never arrived and a dispatcher's corrections do
    not. The digest is that of the file, as its LabelsExported names it. Raises `DemoError` when
    columns are missing.
    """
    table = pq.read_table(pa.BufferReader(parquet))
    features = (*NUMBERS, *CATEGORIES)
    wanted = [*features, "time", "label", "label_source"]
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise DemoError(f"the labelled export lacks {', '.join(missing)}")
    found = table.select(wanted).sort_by("time").to_pylist()
    kept = [r for r in found if r["label_source"] == "outcome" and r["label"] in LABELS]
    return Labelled(
        f"labels/{case}",
        models.digest_of(parquet),
        [{name: row[name] for name in features} for row in kept],
        [LABELS[row["label"]] for row in kept],
    )


def retrain(
    version: str, order: Order, before: LateModel | None, learned: Labelled, export: Labelled
) -> tuple[LateModel, dict[str, Any]]:
    """Train the next version; return it with its VersionReleased body (without `time`)."""
    cut = len(export.rows) * 3 // 4
    trial = models.train(
        version, [*learned.rows, *export.rows[:cut]], [*learned.labels, *export.labels[:cut]]
    )
    metrics: dict[str, float] = {"holdout_rows": len(export.rows) - cut}
    for known in (before, trial):
        if known is not None:
            accuracy, brier = measure(known, export.rows[cut:], export.labels[cut:])
            metrics |= {f"accuracy_v{known.version}": accuracy, f"brier_v{known.version}": brier}
    model = models.train(version, [*learned.rows, *export.rows], [*learned.labels, *export.labels])
    release = release_of(model, [learned, export], f"retrain/{order.case}")
    return model, {**release, "case": order.case, "metrics": metrics}


def release_of(model: LateModel, datasets: Sequence[Labelled], run: str) -> dict[str, Any]:
    """The VersionReleased body of a version, without its time."""
    source = models.digest_of(Path(models.__file__).read_bytes())
    return {
        "id": f"{NAME}-{model.version}-{model.digest[7:19]}",
        "model": {
            "name": NAME,
            "version": model.version,
            "lineage": {
                "training_run": run,
                "datasets": [dataset.reference for dataset in datasets],
                "feature_set": FEATURE_SET,
                "code_commit": source,
                "artifact_digest": model.digest,
            },
        },
        "metrics": {"training_rows": model.rows, "training_late_share": model.late_share},
    }


def measure(
    model: LateModel, rows: Sequence[Mapping[str, Any]], labels: Sequence[int]
) -> tuple[float, float]:
    """Accuracy and Brier score of a version on labelled rows."""
    scores = np.array([model.predict(row).score for row in rows])
    truth = np.asarray(labels, dtype=float)
    right = (scores >= models.THRESHOLD) == (truth > 0)
    return round(float(right.mean()), 6), round(float(((scores - truth) ** 2).mean()), 6)


def announce(api: Client, release: dict[str, Any]) -> None:
    """Log a VersionReleased as a structured CloudEvent."""
    api.post(
        "/v1/cloudevents",
        {
            "specversion": "1.0",
            "type": "modelwitness.VersionReleased.v1",
            "source": "/retrainer",
            "id": release["id"],
            "time": release["time"],
            "datacontenttype": "application/json",
            "data": release,
        },
        "application/cloudevents+json",
    )
