"""An MLflow tracking server is asked for what a webhook does not say, over its REST API 2.0.

    version → run → datasets with digests, source commit, metrics

Decides which facts of a version and its run become lineage. Each version is one VersionReleased
whose id names its facts: read again, what is known already is a duplicate, and what changed (a
dataset that was logged later) is a new entry that adds to the first. So nothing has to be
remembered between two readings. Hides paging and the transport; what it asks for is bounded.
"""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from math import isfinite
from typing import Any, Protocol

import httpx
import msgspec

from audit.errors import Busy, Rejected
from audit.events import Event, event_of
from audit.outgoing import get_bounded
from collector.adapters import times
from collector.adapters.mlflow_webhook import NAME
from collector.adapters.names import leaf_name
from collector.errors import CollectorError
from collector.integrations.declaration import Declared

_COMMIT = "mlflow.source.git.commit"
_FEATURES = "feature_set"
_MOST_BYTES = 8 * 1024 * 1024
_MOST_TEXT = 4096
_PAGE = 200
_MOST_PAGES = 500
_encode = msgspec.json.Encoder(order="deterministic").encode


class _Pair(msgspec.Struct, frozen=True):
    key: str = ""
    value: str | float | None = None


class _Digested(msgspec.Struct, frozen=True):
    name: str = ""
    digest: str = ""


class _Input(msgspec.Struct, frozen=True):
    dataset: _Digested = _Digested()


class _Inputs(msgspec.Struct, frozen=True):
    dataset_inputs: list[_Input] = []


class _Facts(msgspec.Struct, frozen=True):
    metrics: list[_Pair] = []
    tags: list[_Pair] = []


class _Run(msgspec.Struct, frozen=True):
    data: _Facts = _Facts()
    inputs: _Inputs = _Inputs()


class _RunAnswer(msgspec.Struct, frozen=True):
    run: _Run


class Version(msgspec.Struct, frozen=True):
    """A version as the registry lists it; `created` is ms since the epoch."""

    name: str
    version: str
    created: int = msgspec.field(name="creation_timestamp", default=0)
    run_id: str = ""
    source: str = ""
    aliases: list[str] = []


class _Page(msgspec.Struct, frozen=True):
    versions: list[Version] = msgspec.field(name="model_versions", default_factory=list)
    next: str = msgspec.field(name="next_page_token", default="")


_decode_page = msgspec.json.Decoder(_Page, strict=False).decode
_decode_run = msgspec.json.Decoder(_RunAnswer, strict=False).decode


class Fetches(Protocol):
    """How the registry is reached: the body at a URL, or `ValueError` for any other answer."""

    def __call__(self, url: str) -> bytes: ...


def calling(client: httpx.Client, user: str = "", secret: str = "") -> Fetches:
    """Fetch with a client, as that user or with that bearer token, where one is given."""
    if secret and user:
        token = b64encode(f"{user}:{secret}".encode()).decode("ascii")
        client.headers["authorization"] = f"Basic {token}"
    elif secret:
        client.headers["authorization"] = f"Bearer {secret}"

    def fetch(url: str) -> bytes:
        try:
            return get_bounded(client, url, _MOST_BYTES)
        except httpx.HTTPError as error:
            raise Busy("the tracking server does not answer", retry_after=60) from error

    return fetch


class Registry:
    """The tracking server at an address."""

    def __init__(self, address: str, fetch: Fetches) -> None:
        self._address = address.rstrip("/")
        self._fetch = fetch

    def versions(self) -> Iterator[Version]:
        """All registered versions, page by page; raises `Busy` where the server does not answer
        or answers something else."""
        token = ""
        for _ in range(_MOST_PAGES):
            query = {"max_results": str(_PAGE)} | ({"page_token": token} if token else {})
            try:
                page = _decode_page(self._get("model-versions/search", query))
            except (ValueError, msgspec.MsgspecError) as error:
                raise Busy("the tracking server answered no list", retry_after=60) from error
            yield from page.versions
            token = page.next
            if not token:
                return

    def release(self, version: Version, declared: Declared) -> Event:
        """The release that a version is, with its lineage; raises `CollectorError`, `Rejected`."""
        run = self._run(version.run_id) if version.run_id else None
        lineage: dict[str, Any] = {}
        metrics: dict[str, float] = {}
        if version.run_id:
            lineage["training_run"] = version.run_id[:_MOST_TEXT]
        if run is not None:
            tags = {each.key: str(each.value) for each in run.data.tags if each.value is not None}
            features = tags.get(declared.options.get("feature_set", _FEATURES))
            lineage |= {
                "datasets": _datasets(run.inputs.dataset_inputs),
                "code_commit": tags.get(_COMMIT, "")[:_MOST_TEXT],
                "feature_set": (features or "")[:_MOST_TEXT],
            }
            metrics = {
                each.key: float(each.value)
                for each in run.data.metrics
                if isinstance(each.value, int | float) and isfinite(each.value)
            }
        model = {"name": leaf_name(version.name), "version": leaf_name(version.version)}
        body: dict[str, Any] = {
            "time": times.of_number(version.created, "ms").rfc3339,
            "model": model | {"lineage": {key: value for key, value in lineage.items() if value}},
            "metrics": metrics,
            "origin": {
                "adapter": NAME,
                "model": version.name[:_MOST_TEXT],
                "wire": {"source": version.source[:_MOST_TEXT], "aliases": version.aliases[:100]},
            },
        }
        digest = sha256(_encode(body)).hexdigest()[:32]
        body["id"] = f"{model['name']}/{model['version']}/{digest}"[-256:]
        return event_of("VersionReleased", declared.name, body)

    def _run(self, id: str) -> _Run | None:
        """A run, None where it was deleted or cannot be read."""
        try:
            return _decode_run(self._get("runs/get", {"run_id": id})).run
        except (ValueError, msgspec.MsgspecError):
            return None

    def _get(self, what: str, query: dict[str, str]) -> bytes:
        return self._fetch(str(httpx.URL(f"{self._address}/api/2.0/mlflow/{what}", params=query)))


def _datasets(inputs: list[_Input]) -> list[dict[str, str]]:
    found = {each.dataset.name: each.dataset.digest for each in inputs if each.dataset.name}
    return [
        {"name": name[:_MOST_TEXT]} | ({"digest": digest[:_MOST_TEXT]} if digest else {})
        for name, digest in found.items()
    ]


def releases(registry: Registry, declared: Declared) -> Iterator[Event | str]:
    """Every release that the registry knows of; a text instead where one cannot be logged."""
    for version in registry.versions():
        try:
            yield registry.release(version, declared)
        except (CollectorError, Rejected) as error:
            yield f"{version.name} {version.version}: {error}"
