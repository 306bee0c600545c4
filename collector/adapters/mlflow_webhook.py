"""MLflow's registry webhooks: a model version or an alias of one was created.

    {"entity": "model_version", "action": "created", "timestamp": …, "data": {name, …}}

Decides that both are a VersionReleased: the first says which run trained the version, the second
that somebody chose it, under which name; what one integration tells of a version adds up. Tags,
prompts and the rest are none of our business. Datasets and commit are not in a webhook:
`collector.lineage.mlflow` asks the registry for them.

MLflow takes any 2xx, and repeats 429, 500, 502, 503 and 504 three times. Verifier: mlflow-webhook.
"""

from hashlib import sha256
from typing import Any

import msgspec

from audit.errors import Rejected
from audit.events import event_of
from collector.adapters import times
from collector.adapters.names import leaf_name
from collector.adapters.texts import json_of
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

NAME = "mlflow-registry"
_RELEASES = frozenset({("model_version", "created"), ("model_version_alias", "created")})
_MOST_WIRE = 8 * 1024
_MOST_TEXT = 4096
_encode = msgspec.json.Encoder(order="deterministic").encode

OPTIONS = {
    "registry": "address of the tracking server that `modelwitness lineage read` asks",
    "registry_user": "user of the tracking server, where it wants Basic instead of a bearer token",
    "registry_secret": "reference (env:NAME, file:PATH) of that user's password, or of the token",
    "feature_set": "name of the run's tag that says which features it was trained on",
}


class _Told(msgspec.Struct):
    name: str | None = None
    version: str | int | None = None
    run_id: str | None = None
    source: str | None = None
    alias: str | None = None
    tags: dict[str, Any] | None = None


class _Webhook(msgspec.Struct):
    entity: str
    action: str
    timestamp: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


_decode_webhook = msgspec.json.Decoder(_Webhook).decode
_decode_told = msgspec.json.Decoder(_Told).decode


def read(message: Message, declared: Declared) -> Adapted:
    """The release that a webhook tells of; raises `CollectorError`."""
    found = json_of(message.unpacked, _decode_webhook)
    if (found.entity, found.action) not in _RELEASES:
        return Adapted(unrelated=1)
    told = json_of(found.data, _decode_told)
    if not told.name or told.version is None:
        raise Invalid(
            "the webhook names no model version",
            field="/data/version",
            remedy="Check that the webhook is one of MLflow's registry.",
        )
    moment = times.of_text(found.timestamp)
    delivery = message.header("x-mlflow-delivery-id") or ""
    body: dict[str, Any] = {
        "id": (delivery or sha256(message.unpacked).hexdigest()[:32])[:256],
        "time": moment.rfc3339,
        "model": {"name": leaf_name(told.name), "version": leaf_name(str(told.version))},
        "origin": _origin(found, told, delivery),
    }
    if moment.original is not None:
        body["origin"]["received_time_text"] = moment.original
    if told.run_id:
        body["model"]["lineage"] = {"training_run": told.run_id[:_MOST_TEXT]}
    try:
        return Adapted(events=[event_of("VersionReleased", declared.name, body)])
    except Rejected as error:
        raise Invalid(str(error), field=error.field, remedy=error.remedy) from None


def _origin(found: _Webhook, told: _Told, delivery: str) -> dict[str, Any]:
    wire = {"source": told.source, "tags": told.tags, "alias": told.alias}
    kept = {key: value for key, value in wire.items() if value}
    origin = {"adapter": NAME, "event": f"{found.entity}.{found.action}"}
    if delivery:
        origin["delivery"] = delivery
    if told.name and told.name != leaf_name(told.name):
        origin["model"] = told.name[:_MOST_TEXT]
    if kept and len(_encode(kept)) <= _MOST_WIRE:
        return {**origin, "wire": kept}
    return origin


ADAPTER = Adapter(
    name=NAME,
    read=read,
    options=OPTIONS,
    verifiers=frozenset({"mlflow-webhook"}),
)
