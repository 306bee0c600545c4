"""Feast's feature services: which features a model version is fed with.

    feast registry-dump | curl --data-binary @- …/in/NAME

Reads what that command prints, a list of feature services as the registry's REST answers it, or
one of them. Decides that a version of a feature service is named by its content, because Feast
numbers none: project/service@digest, the digest over its views and their columns with types. Each
service is a LineageObserved; one whose tags name a model and a version is also what that version's
features are (VersionReleased). Sent again unchanged, all of it is a duplicate.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from audit.errors import Rejected
from audit.events import Event, event_of
from collector.adapters import times
from collector.adapters.names import leaf_name
from collector.adapters.texts import json_of
from collector.adapters.wire import Adapted, Adapter, Message, Refused
from collector.errors import CollectorError, Invalid, TooLarge
from collector.integrations.declaration import Declared

NAME = "feast"
_MOST = 1_000
_MOST_TEXT = 4096
_MOST_FEATURES = 2_000
_encode = msgspec.json.Encoder(order="deterministic").encode


class _Column(msgspec.Struct):
    name: str
    type: str = msgspec.field(name="valueType", default="")


class _View(msgspec.Struct):
    name: str = msgspec.field(name="featureViewName", default="")
    columns: list[_Column] = msgspec.field(name="featureColumns", default_factory=list)


class _Spec(msgspec.Struct):
    name: str
    project: str = ""
    views: list[_View] = msgspec.field(name="features", default_factory=list)
    tags: dict[str, str] = {}


class _Meta(msgspec.Struct, frozen=True):
    created: str = msgspec.field(name="createdTimestamp", default="")
    updated: str = msgspec.field(name="lastUpdatedTimestamp", default="")


class _Service(msgspec.Struct):
    spec: _Spec
    meta: _Meta = _Meta()
    project: str = ""


class _Dump(msgspec.Struct):
    project: Any = None
    services: list[msgspec.Raw] = msgspec.field(name="featureServices", default_factory=list)
    spec: Any = None


_decode_dump = msgspec.json.Decoder(_Dump).decode
_decode_service = msgspec.json.Decoder(_Service).decode


def read(message: Message, declared: Declared) -> Adapted:
    """The feature services of a registry; raises `CollectorError`."""
    raw = message.unpacked
    dump = json_of(raw, _decode_dump)
    services = [raw] if dump.spec is not None else [bytes(each) for each in dump.services]
    if len(services) > _MOST:
        raise TooLarge(
            f"the registry holds more than {_MOST} feature services",
            remedy="Send one project at a time.",
        )
    events: list[Event] = []
    refused: list[Refused] = []
    for each in services:
        try:
            project = dump.project if isinstance(dump.project, str) else ""
            events += _events(json_of(each, _decode_service), project, declared)
        except CollectorError as error:
            refused.append(Refused(each, error))
        except Rejected as error:
            wrong = Invalid(str(error), field=error.field, remedy=error.remedy)
            refused.append(Refused(each, wrong))
    return Adapted(events=events, refused=refused)


def _events(service: _Service, project: str, declared: Declared) -> Iterator[Event]:
    spec = service.spec
    content = sorted(
        [view.name, sorted([column.name, column.type] for column in view.columns)]
        for view in spec.views
    )
    digest = sha256(_encode(content)).hexdigest()
    place = f"{spec.project or service.project or project or '-'}/{spec.name}"[:_MOST_TEXT]
    moment = times.of_text(service.meta.updated or service.meta.created)
    features = [f"{view.name}:{column.name}" for view in spec.views for column in view.columns]
    if len(features) > _MOST_FEATURES:
        raise TooLarge(
            f"the feature service has more than {_MOST_FEATURES} features",
            remedy="Split it into several.",
        )
    id = f"{sha256(_encode([place, content, spec.tags])).hexdigest()[:32]}"
    yield event_of(
        "LineageObserved",
        declared.name,
        {
            "id": id,
            "time": moment.rfc3339,
            "job": f"{NAME}/{place}"[:_MOST_TEXT],
            "inputs": [{"name": f"{NAME}/{place.partition('/')[0]}/{view}"} for view, _ in content],
            "outputs": [{"name": f"{NAME}/{place}"[:_MOST_TEXT], "digest": f"sha256:{digest}"}],
            "origin": {"adapter": NAME, "features": features},
        },
    )
    model = spec.tags.get(declared.options.get("model_tag", "model"), "")
    version = spec.tags.get(declared.options.get("version_tag", "model_version"), "")
    if model and version:
        released = {
            "name": leaf_name(model),
            "version": leaf_name(version),
            "lineage": {"feature_set": f"{place[: _MOST_TEXT - 16]}@{digest[:12]}"},
        }
        yield event_of(
            "VersionReleased",
            declared.name,
            {
                "id": id,
                "time": moment.rfc3339,
                "model": released,
                "origin": {"adapter": NAME, "service": place},
            },
        )


ADAPTER = Adapter(
    name=NAME,
    read=read,
    options={
        "model_tag": "tag of a feature service that names the model it feeds (model)",
        "version_tag": "tag that names the version of that model (model_version)",
    },
)
