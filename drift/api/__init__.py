"""Drift over HTTP: policies, verdicts, reports, alerts, retraining cases and their labels.

Decides which routes need a token; the modules of this package each hold the routes of one subject.
Evidently is never loaded here: reports are drawn by a subprocess.
"""

import os

from litestar import Router

from audit.access import Access
from audit.api.authentication import authenticated
from audit.clock import Clock
from audit.rootkey import Random
from audit.store import Store
from audit.tokens import Tokens
from drift.api import alerting, deciding, report, retraining, verdicts
from drift.api.governing import Governing
from drift.settings import DriftSettings

__all__ = ["router"]


def router(
    store: Store,
    tokens: Tokens,
    access: Access,
    clock: Clock,
    *,
    settings: DriftSettings | None = None,
    random: Random = os.urandom,
) -> Router:
    """Return the routes of drift; the composition root adds problem handlers and the schema."""
    governing = Governing(store, access, clock, random, settings or DriftSettings.of())
    behind_token = Router(
        "/",
        guards=[authenticated(tokens, access.refused)],
        route_handlers=[
            *verdicts.routes(governing),
            *alerting.routes(governing),
            *deciding.routes(governing),
            *retraining.routes(governing),
        ],
    )
    return Router("/", route_handlers=[behind_token, report.route(governing)])
