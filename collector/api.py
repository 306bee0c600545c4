"""The way in over HTTP: one Litestar router built from its dependencies.

Decides addresses and answers; what happens behind them is decided in `ingest`, who may do it in
`audit.roles`. Every refusal is a problem detail.

    POST /in/{integration}[/{secret}]       each sender under the credential of its declaration
    POST /v1/traces, /v1/logs, /api/v1/lineage    where a standard fixes the address
    POST /v1/predictions, /v1/outcomes, /v1/oversight, /v1/explanations, /v1/counts
    POST /v1/cloudevents
    GET  /v1/quarantine        POST /v1/quarantine/{id}/replay, …/discard
    GET  /healthz, /readyz, /metrics        without a token
"""

from typing import Any

from litestar import Request, Response, Router, post, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from prometheus_client import CollectorRegistry, ProcessCollector

from audit.access import Access
from audit.api import authenticated
from audit.clock import Clock
from audit.ledger import Ledger
from audit.problems import answer
from audit.roles import Principal
from audit.tokens import Tokens
from audit.work import Work
from collector import answers, health, holding, openapi
from collector.delivery import CLOUDEVENTS, NATIVE
from collector.entrance import Entrance
from collector.errors import CollectorError
from collector.held import Held
from collector.integrations import doorway, standard
from collector.integrations.door import Door
from collector.integrations.fetched import Fetched
from collector.integrations.refusals import Refusals
from collector.integrations.secrets import Secrets
from collector.integrations.standard import Standard
from collector.integrations.unpaired import UnpairedMetric
from collector.integrations.wiring import Around, wired
from collector.limits import Limits
from collector.metrics import Metrics


def router(
    ledger: Ledger,
    tokens: Tokens,
    access: Access,
    work: Work,
    clock: Clock,
    limits: Limits,
    around: Around,
    registry: CollectorRegistry | None = None,
) -> Router:
    """The routes of ingest. Belongs to one event loop.

    `around` is what integrations need besides. `registry` takes the metrics and is what /metrics
    shows; without one, a new one is made that also tells of this process. `access` counts and
    records strangers. The application must handle `AuditError`, as `audit.problems.handlers` does.
    """
    if registry is None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
    held = Held(limits)
    metrics = Metrics(
        registry,
        lambda: access.refusals,
        lambda: held.held_bytes,
        lambda: held.unproved_bytes,
    )
    guard = authenticated(tokens, access.refused)
    ways = wired(ledger, work, clock, limits, metrics, around)
    halves = UnpairedMetric(work, registry, clock)
    refusals = Refusals(access.refused, metrics)
    entrance = Entrance(ways.ingest.take, tokens, guard, held, metrics)
    door = Door(
        ways.intake.take,
        ways.registered,
        around.adapters,
        Secrets(around.environment, clock),
        tokens,
        Fetched(around.outgoing, clock),
        refusals,
        held,
        metrics,
        clock,
    )
    fixed = Standard(
        ways.intake.take,
        ways.registered,
        around.adapters,
        tokens,
        refusals,
        held,
        metrics,
        clock,
    )

    def refused(_: Request[Any, Any, Any], error: CollectorError) -> Response[bytes]:
        metrics.refused(error.status)
        full = answers.FULL if error.full else None
        return answer(answers.refusal(error, error.quarantine, full), error.headers)

    kept = Router(
        "/v1/quarantine",
        guards=[guard],
        route_handlers=holding.routes(ways.quarantine, ways.replay, ledger, clock),
    )
    return Router(
        "/",
        route_handlers=[
            *(_native(entrance, address) for address in NATIVE),
            _handshake(),  # before its POST, with which the framework adds an OPTIONS of its own
            _cloudevents(entrance),
            kept,
            *doorway.routes(door),
            *standard.routes(fixed),
            *health.routes(ledger, work, registry, halves.refresh),
        ],
        exception_handlers={CollectorError: refused},
    )


def _native(entrance: Entrance, address: str) -> HTTPRouteHandler:
    async def log(request: Request[Principal, Any, Any]) -> ASGIResponse:
        return await entrance.take(request, address)

    return post(
        f"/v1/{address}",
        operation_id=f"log_{address}",
        operation_class=openapi.native_operation(address),
        summary=f"Log {address}: one object, an array or JSON lines",
        tags=["Ingest"],
        dependencies=openapi.takes(address),
        responses=openapi.ingest_answers(),
    )(log)


def _cloudevents(entrance: Entrance) -> HTTPRouteHandler:
    async def log(request: Request[Principal, Any, Any]) -> ASGIResponse:
        return await entrance.take(request, CLOUDEVENTS)

    return post(
        f"/v1/{CLOUDEVENTS}",
        operation_id=f"log_{CLOUDEVENTS}",
        operation_class=openapi.CloudEventOperation,
        summary="Log CloudEvents 1.0: binary, structured or batched",
        tags=["Ingest"],
        dependencies=openapi.takes(CLOUDEVENTS),
        responses=openapi.ingest_answers(),
    )(log)


def _handshake() -> HTTPRouteHandler:
    """Consent to deliveries, as senders of CloudEvents webhooks ask for it (WebHook spec 1.0).

    It gives nothing away: every delivery itself needs a token.
    """

    @route(
        f"/v1/{CLOUDEVENTS}",
        http_method=HttpMethod.OPTIONS,
        operation_id="consent_cloudevents",
        summary="Consent to CloudEvents deliveries",
        tags=["Ingest"],
        security=[{}],
        sync_to_thread=False,
        status_code=200,
    )
    def consent(request: Request[Any, Any, Any]) -> Response[None]:
        headers = {"Allow": "OPTIONS, POST"}
        origin = request.headers.get("webhook-request-origin")
        if origin is not None:
            headers["WebHook-Allowed-Origin"] = origin
            headers["WebHook-Allowed-Rate"] = "*"
        return Response(None, headers=headers)

    return consent
