"""OpenLineage: run, dataset and job events, at the address and with the answers of Marquez.

    POST /api/v1/lineage    201 taken · 400 no such event · 200 of a kind that is not known

Decides that each event is a LineageObserved, and that a run which is COMPLETE and wrote a dataset
of type MODEL (or one that is named `models:/…`, as model registries do) with a version has also
made that version: a VersionReleased. Inputs that were told of when the run started are in its
START event only; `audit.catalog` puts them together. Dataset names are namespace/name, a dataset's
digest is what its `version` facet says.

The specification has no facet for machine learning models: `datasetType` is what comes nearest.
Spec: OpenLineage 2-0-2. Times without a zone are UTC unless the option `zone` says otherwise.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from audit.errors import Rejected
from audit.events import Event, event_of
from collector.adapters import times
from collector.adapters.names import leaf_name
from collector.adapters.texts import json_of
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Adapter, Message, Reply
from collector.errors import Invalid, TooLarge
from collector.integrations.declaration import Declared

NAME = "openlineage"
_STATES = frozenset({"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"})
_MODEL = re.compile(r"models:/(?P<name>[^/]+)(?:/(?P<version>[^/]+))?")
_MOST_DATASETS = 1_000
_MOST_TEXT = 4096
_MOST_WIRE = 8 * 1024
_JSON = (("content-type", "application/json"),)
_TAKEN = Reply(201, b"", _JSON)
_IGNORED = Reply(200, b"", _JSON)
_encode = msgspec.json.Encoder(order="deterministic").encode

Facets = dict[str, Any]


class _Dataset(msgspec.Struct):
    namespace: str
    name: str
    facets: Facets | None = None

    @property
    def key(self) -> str:
        return f"{self.namespace.rstrip('/')}/{self.name}"[:_MOST_TEXT]

    @property
    def version(self) -> str | None:
        found = _facet(self.facets, "version").get("datasetVersion")
        return str(found)[:_MOST_TEXT] if isinstance(found, str | int) and found != "" else None

    def told(self) -> dict[str, str]:
        version = self.version
        return {"name": self.key} | ({} if version is None else {"digest": version})


class _Job(msgspec.Struct):
    namespace: str
    name: str
    facets: Facets | None = None

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"[:_MOST_TEXT]


class _Run(msgspec.Struct):
    id: str = msgspec.field(name="runId")
    facets: Facets | None = None


class _Lineage(msgspec.Struct):
    time: str = msgspec.field(name="eventTime")
    type: str | None = msgspec.field(name="eventType", default=None)
    run: _Run | None = None
    job: _Job | None = None
    dataset: _Dataset | None = None
    inputs: list[_Dataset] | None = None
    outputs: list[_Dataset] | None = None
    producer: str | None = None
    schema: str | None = msgspec.field(name="schemaURL", default=None)


class _Kind(msgspec.Struct):
    run: object = None
    job: object = None
    dataset: object = None
    type: object = msgspec.field(name="eventType", default=None)

    @property
    def known(self) -> bool:
        about = self.run is not None or self.job is not None or self.dataset is not None
        known = isinstance(self.type, str) and self.type in _STATES
        return about and (self.type is None or known)


_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_lineage = msgspec.json.Decoder(_Lineage).decode


def read(message: Message, declared: Declared) -> Adapted:
    """What an event says; raises `CollectorError` where it is none."""
    raw = message.unpacked
    if not json_of(raw, _decode_kind).known:
        return Adapted(reply=_IGNORED, unrelated=1)
    told = json_of(raw, _decode_lineage)
    _require_whole(told)
    moment = times.of_text(_time(told.time), declared.options.get("zone", "UTC"))
    digest = sha256(raw).hexdigest()[:32]
    try:
        events = list(_events(told, moment, digest, declared))
    except Rejected as error:
        raise Invalid(str(error), field=error.field, remedy=error.remedy) from None
    return Adapted(events=events, reply=_TAKEN)


def failing(_message: Message, status: int, title: str) -> Reply:
    """A refusal as Marquez words it."""
    return Reply(status, _encode({"code": status, "message": title}), _JSON)


def _require_whole(told: _Lineage) -> None:
    if told.run is not None and (told.job is None or not told.run.id):
        raise Invalid(
            "a run event names no run or no job",
            field="/job" if told.job is None else "/run/runId",
            remedy="Send run.runId, job.namespace and job.name.",
        )
    if len(told.inputs or ()) > _MOST_DATASETS or len(told.outputs or ()) > _MOST_DATASETS:
        raise TooLarge(
            f"the event names more than {_MOST_DATASETS} datasets",
            remedy="Send a run's datasets in several events.",
        )


def _time(text: str) -> str:
    """A time in `text`; senders add a zone's name in brackets to its offset (Java)."""
    return text.partition("[")[0]


def _events(told: _Lineage, moment: Moment, digest: str, declared: Declared) -> Iterator[Event]:
    run = told.run.id[:_MOST_TEXT] if told.run is not None else None
    subject = run or (told.job.key if told.job else told.dataset.key if told.dataset else "")
    made = list(_made(told)) if told.type == "COMPLETE" else []
    commit = _facet(told.job.facets if told.job else None, "sourceCodeLocation").get("version")
    parent = _facet(told.run.facets if told.run else None, "parent", "parentRun")
    outputs = list(told.outputs or ())
    if told.dataset is not None and run is None and told.job is None:
        outputs.append(told.dataset)
    observed: dict[str, Any] = {
        "id": f"{subject[:200]}/{digest}",
        "time": moment.rfc3339,
        "run": run,
        "job": told.job.key if told.job else None,
        "state": told.type,
        "inputs": [each.told() for each in told.inputs or ()],
        "outputs": [each.told() for each in outputs],
        "parent_run": _text(_member(parent, "run").get("runId")),
        "parent_job": _name(_member(parent, "job")),
        "code_commit": _text(commit),
        "model": {"name": made[0][0], "version": made[0][1]} if len(made) == 1 else None,
        "origin": _origin(told, moment),
    }
    found = {key: value for key, value in observed.items() if value is not None}
    yield event_of("LineageObserved", declared.name, found)
    for number, (name, version) in enumerate(made):
        lineage = {
            "training_run": run,
            "datasets": found["inputs"],
            "code_commit": found.get("code_commit"),
        }
        released = {
            "id": f"{subject[:200]}/{digest}/{number}",
            "time": moment.rfc3339,
            "model": {
                "name": name,
                "version": version,
                "lineage": {key: value for key, value in lineage.items() if value},
            },
            "origin": {"adapter": NAME, "run": run},
        }
        yield event_of("VersionReleased", declared.name, released)


def _made(told: _Lineage) -> Iterator[tuple[str, str]]:
    """Name and version of each model version among the outputs."""
    for each in told.outputs or ():
        named = _MODEL.fullmatch(each.name)
        kind = _facet(each.facets, "datasetType").get("datasetType")
        if named is None and str(kind).upper() != "MODEL":
            continue
        version = each.version or (named["version"] if named else None)
        if version:
            yield leaf_name(named["name"] if named else each.name), leaf_name(version)


def _origin(told: _Lineage, moment: Moment) -> dict[str, Any]:
    origin: dict[str, Any] = {"adapter": NAME}
    if told.time != moment.rfc3339:
        origin["received_time_text"] = told.time[:_MOST_TEXT]
    wire = {
        "producer": told.producer,
        "schema": told.schema,
        "run": _shown(told.run.facets if told.run else None),
        "job": _shown(told.job.facets if told.job else None),
        "datasets": {
            each.key: shown
            for each in (*(told.inputs or ()), *(told.outputs or ()))
            if (shown := _shown(each.facets))
        },
    }
    kept = {key: value for key, value in wire.items() if value}
    if kept and len(_encode(kept)) <= _MOST_WIRE:
        origin["wire"] = kept
    return origin


def _shown(facets: Facets | None) -> Facets:
    """Facets without those that copy a process's environment, where secrets are."""
    return {key: value for key, value in (facets or {}).items() if "environment" not in key.lower()}


def _facet(facets: Facets | None, *names: str) -> dict[str, Any]:
    """The first of these facets that is there; one that was deleted is not."""
    for name in names:
        found = (facets or {}).get(name)
        if isinstance(found, dict) and not found.get("_deleted"):
            return found
    return {}


def _member(found: dict[str, Any], name: str) -> dict[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _name(job: dict[str, Any]) -> str | None:
    namespace, name = job.get("namespace"), job.get("name")
    return f"{namespace}/{name}"[:_MOST_TEXT] if isinstance(name, str) else None


def _text(value: Any) -> str | None:
    return value[:_MOST_TEXT] if isinstance(value, str) and value else None


ADAPTER = Adapter(
    name=NAME,
    read=read,
    failing=failing,
    options={"zone": "zone of times that say none: an IANA name, UTC (default) or an offset"},
)
