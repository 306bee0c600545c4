"""Routes: what the retrainer says of a case, and the labelled data that it learns from."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from litestar.response import Stream

from audit.problems import documented
from audit.schema import NAME_PATTERN
from drift import steps
from drift.api.governing import Asked, Governing, Id
from drift.cases import Case
from drift.errors import IllegalStep

CHUNK = 262_144


class Candidate(msgspec.Struct, frozen=True):
    """The version that retraining gave, and what the retrainer measured of it."""

    version: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    metrics: dict[str, float] = {}


def routes(of: Governing) -> Sequence[HTTPRouteHandler]:
    @post(
        "/v1/cases/{case:str}/acknowledge",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="Take a retraining over",
        tags=["retrainer"],
    )
    def acknowledge(request: Asked, case: Id) -> Case:
        """By the retrainer, once it has the request; a body is not read."""
        of.allow(request.user, "report_retraining", ("allow",))
        return steps.acknowledge_case(of.store, case, request.user.actor, clock=of.clock)

    @post(
        "/v1/cases/{case:str}/candidate",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="Register the version that retraining gave",
        tags=["retrainer"],
    )
    def candidate(request: Asked, case: Id, data: JSONBody[Candidate]) -> Case:
        """A VersionReleased that names the case does the same."""
        of.allow(request.user, "report_retraining", ("allow",))
        return steps.register_candidate(
            of.store, case, request.user.actor, data.version, data.metrics, clock=of.clock
        )

    @get(
        "/v1/cases/{case:str}/labels.parquet",
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="The labelled predictions of a case",
        media_type="application/vnd.apache.parquet",
        tags=["retrainer"],
    )
    def labelled(request: Asked, case: Id) -> Stream:
        """Parquet: columns of the policy, label, label_source, time, entry.

        Repr-Digest (RFC 9530) is the digest that LabelsExported recorded before this was sent.
        """
        from drift import labels  # Arrow is loaded by whoever exports, not by every server

        of.allow(request.user, "labelled_export", ("allow",))
        found = steps.case_of(of.store, case)
        if not found.dispatched and found.state not in {"approved", "acknowledged", "candidate"}:
            raise IllegalStep(
                f"labels are exported for an approved case; this one is {found.state}"
            )
        export = labels.export(
            of.store,
            of.access,
            request.user,
            found,
            most_bytes=of.settings.export_bytes,
            clock=of.clock,
            random=of.random,
        )
        headers = {
            "Repr-Digest": export.repr_digest,
            "Content-Length": str(len(export.parquet)),
            "Content-Disposition": f'attachment; filename="{case}.parquet"',
            "Cache-Control": "no-store",
        }
        return Stream(
            _chunks(export.parquet),
            headers=headers,
            media_type="application/vnd.apache.parquet",
        )

    return [acknowledge, candidate, labelled]


def _chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), CHUNK):
        yield content[start : start + CHUNK]
