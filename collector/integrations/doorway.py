"""The routes of /in: every method that senders try, and what the API document says of them."""

from dataclasses import dataclass
from typing import Any

from litestar import Request, get, post, route
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType
from litestar.response.base import ASGIResponse

from collector.integrations.door import Door, probed

PATHS = ("/in/{integration:str}", "/in/{integration:str}/{secret:str}")
"""What follows the name is a secret, for senders that can prove themselves in no other way."""
_OPEN: list[dict[str, list[str]]] = [{}]
_TAGS = ["Integrations"]
_TEXT = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))

Asked = Request[Any, Any, Any]


@dataclass
class Delivered(Operation):
    """`operation_class=` of the POST: body and answer are the sender's."""

    def __post_init__(self) -> None:
        self.request_body = RequestBody(
            content={"*/*": _TEXT}, description="What the sender's system sends, as it sends it"
        )
        self.responses = {
            "default": OpenAPIResponse(
                description="As the sender wants it; a success once all is durable or quarantined"
            )
        }


@dataclass
class Asking(Operation):
    """`operation_class=` of OPTIONS: an answer of headers alone."""

    def __post_init__(self) -> None:
        self.responses = {"200": OpenAPIResponse(description="What is taken, in Allow")}


@dataclass
class Probing(Operation):
    """`operation_class=` of GET."""

    def __post_init__(self) -> None:
        self.responses = {
            "405": OpenAPIResponse(
                description="What is taken, in Allow", content={"text/plain": _TEXT}
            )
        }


def routes(door: Door) -> list[HTTPRouteHandler]:
    """The routes, each with and without a secret in the path."""
    return [each for path in PATHS for each in _at(path, door)]


def _at(path: str, door: Door) -> list[HTTPRouteHandler]:
    suffix = "_by_path" if path != PATHS[0] else ""

    def of(request: Asked) -> tuple[str, str]:
        found = request.path_params
        return found["integration"], found.get("secret", "")

    # OPTIONS before POST, with which the framework adds an OPTIONS of its own.
    @route(
        path,
        http_method=HttpMethod.OPTIONS,
        operation_id=f"consent_integration{suffix}",
        operation_class=Asking,
        summary="Consent to CloudEvents deliveries, where the declaration names who asks",
        tags=_TAGS,
        security=_OPEN,
        status_code=200,
    )
    async def consent(request: Asked) -> ASGIResponse:
        return await door.consent(request, *of(request))

    @get(
        path,
        operation_id=f"probe_integration{suffix}",
        operation_class=Probing,
        summary="The same answer for every name, declared or not",
        tags=_TAGS,
        security=_OPEN,
        sync_to_thread=False,
    )
    def probe(request: Asked) -> ASGIResponse:
        return probed(request.method)

    @route(
        path,
        http_method=HttpMethod.HEAD,
        operation_id=f"head_integration{suffix}",
        include_in_schema=False,
        sync_to_thread=False,
        status_code=200,
    )
    def head(request: Asked) -> ASGIResponse:
        return probed(request.method)

    @post(
        path,
        operation_id=f"deliver_integration{suffix}",
        operation_class=Delivered,
        summary="Take what an integration's system sends, under the credential it is declared with",
        tags=_TAGS,
        security=_OPEN,
        status_code=200,
    )
    async def deliver(request: Asked) -> ASGIResponse:
        return await door.take(request, *of(request))

    return [consent, probe, head, deliver]
