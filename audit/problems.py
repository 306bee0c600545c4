"""Every refusal over HTTP as a problem detail (RFC 9457, application/problem+json).

Decides status, title and words of each error, for all routers. Hides what the answer must not
tell: an unexpected error's text goes neither to the caller nor to the log, since it may quote
payloads; both get the same occurrence (`instance`) to find each other by.
"""

import logging
import re
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap

from audit.amiss import said
from audit.errors import (
    AuditError,
    Busy,
    Conflict,
    Denied,
    NotFound,
    Rejected,
    Tampered,
    TooSlow,
    Unverifiable,
)
from audit.roles import Unauthenticated

MEDIA_TYPE = "application/problem+json"
_encode = msgspec.json.encode


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer that is not a success.

    `field` is the JSON pointer (or the parameter) that is wrong, `remedy` what to do about it,
    `instance` names this one occurrence.
    """

    type: str
    title: str
    status: int
    detail: str
    remedy: str
    instance: str
    field: str | None = None


def problem_of(
    status: int, title: str, detail: str, remedy: str, field: str | None = None
) -> Problem:
    """A problem as a value, with a new occurrence; batches carry one per rejected item."""
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    return Problem(
        type=f"urn:modelwitness:problem:{slug}",
        title=title,
        status=status,
        detail=detail,
        remedy=remedy,
        instance=f"urn:uuid:{uuid4()}",
        field=field,
    )


def problem(
    status: int,
    title: str,
    detail: str,
    remedy: str,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """A problem as an answer."""
    return answer(problem_of(status, title, detail, remedy, field), headers)


def answer(found: Problem, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """The answer that carries this problem."""
    return Response(
        _encode(found), status_code=found.status, media_type=MEDIA_TYPE, headers=headers
    )


# First match wins: subclasses stand above their base.
_KINDS: tuple[tuple[type[AuditError], int, str, str], ...] = (
    (Conflict, 409, "Conflict", "Send the same content again, or choose a new id."),
    (Rejected, 400, "Rejected", "Correct the request and send it again."),
    (TooSlow, 503, "Took too long", TooSlow.remedy),
    (Busy, 503, "Busy", "Send it again after the time in Retry-After."),
    (
        Unauthenticated,
        401,
        "Not signed in",
        "Send Authorization: Bearer with a token that is neither expired nor revoked.",
    ),
    (Denied, 403, "Not permitted", "Ask someone who has that role."),
    (NotFound, 404, "Not found", "Check the address; nothing is there."),
    (Tampered, 500, "Tampered", "Raise the alarm, stop writing and run modelwitness fsck --deep."),
    (Unverifiable, 503, "Cannot tell", "Provide the missing evidence, then ask again."),
)


def problem_from(error: AuditError) -> Problem:
    """The problem that an error of the audit packages stands for."""
    field = getattr(error, "field", "") or None
    for kind, status, title, remedy in _KINDS:
        if isinstance(error, kind):
            better = getattr(error, "remedy", "") or remedy
            return problem_of(status, title, str(error), better, field)
    return _unexpected(error)


def handlers() -> ExceptionHandlersMap:
    """The handlers that turn whatever is raised behind a route into a problem."""
    return {AuditError: _audit_error, HTTPException: _http_error, Exception: _other_error}


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """`responses=` of a route: its refusals, each a problem, for the OpenAPI document.

    401, 403, 500 and 503 belong to every route behind a token and are always included.
    """
    return {
        status: ResponseSpec(
            data_container=Problem,
            media_type=MEDIA_TYPE,
            description=HTTPStatus(status).phrase,
            generate_examples=False,
        )
        for status in sorted({401, 403, 500, 503, *statuses})
    }


def _audit_error(_: Request[Any, Any, Any], error: AuditError) -> Response[bytes]:
    found = problem_from(error)
    headers = {}
    if isinstance(error, Busy):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return answer(found, headers)


def _http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    status = error.status_code
    if status >= 500:
        return answer(_unexpected(error))
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Refused"
    detail, remedy, field = _words(status), "See /schema/openapi.json.", None
    if isinstance(error, ValidationException):
        detail, remedy, field = _invalid(error.extra)
    return answer(problem_of(status, title, detail, remedy, field), error.headers)


def _words(status: int) -> str:
    """What a refusal by the framework means; its own text may quote the request."""
    return {
        400: "the request is not what this route reads",
        401: "the request carries no valid token",
        403: "the token does not allow this",
        404: "there is no such route or item",
        405: "this route does not answer that method",
        413: "the body is larger than this route takes",
        415: "the body has a content type that this route does not read",
        429: "too many requests",
    }.get(status, "the request was refused")


def _invalid(extra: object) -> tuple[str, str, str | None]:
    """What is wrong, what to do and where, without the value that was wrong."""
    first = extra[0] if isinstance(extra, list) and extra else None
    if not isinstance(first, dict):
        return "the request is not as its schema wants it", "See /schema/openapi.json.", None
    key = str(first.get("key", "")).replace("[", "/").replace("]", "").replace(".", "/")
    inside = str(first.get("source", "body")) == "body"
    field = f"/{key.lstrip('/')}" if inside and key else key
    message = str(first.get("message", "")).rpartition(" - at `")
    found = said(message[0] or message[2], field)
    return found.what, found.remedy, found.field or None


def _other_error(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return answer(_unexpected(error))


def _unexpected(error: Exception) -> Problem:
    found = problem_of(
        500,
        "Internal error",
        "something failed that should not have",
        "Try again; if it stays, give the operator the instance of this answer.",
    )
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{each.filename}:{each.lineno}" for each in reversed(frames[-8:]))
    logging.getLogger("modelwitness").error(
        "%s: %s at %s", found.instance, type(error).__name__, where
    )
    return found
