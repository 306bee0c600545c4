"""What the API document says of ingest beyond what the framework derives.

Decides examples, the further content types of a body and the headers. The schemas themselves
come from `audit.schema`: each `takes_*` function is a dependency that no route asks for, so it
never runs, but the framework documents its `data` as the request body. (Were `data` asked for,
the framework would parse every body a second time.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from litestar.di import Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)
from litestar.openapi.spec.enums import OpenAPIType

from audit.problems import MEDIA_TYPE, documented
from audit.schema import CountsReported, ExplanationEvent, Outcome, Oversight, Prediction
from collector.answers import Batch, Receipt, Refused

Examples = Mapping[str, Any]

PREDICTION: Examples = MappingProxyType(
    {
        "id": "UA-1545-2013-01-01",
        "time": "2013-01-01T05:15:00-05:00",
        "model": {"name": "late-arrival", "version": "1"},
        "inputs": {"dep_delay": 2, "carrier": "UA", "origin": "EWR", "distance": 1400},
        "output": "on_time",
        "score": 0.12,
        "latency_ms": {"total": 3.4},
    }
)
OUTCOME: Examples = MappingProxyType(
    {
        "id": "UA-1545-2013-01-01/arrival",
        "time": "2013-01-01T08:30:00-05:00",
        "prediction": {"id": "UA-1545-2013-01-01"},
        "outcome": "late",
    }
)
OVERSIGHT: Examples = MappingProxyType(
    {
        "id": "review-77",
        "time": "2013-01-01T05:20:00-05:00",
        "prediction": {"id": "UA-1545-2013-01-01"},
        "action": "override",
        "reason_code": "WEATHER",
        "final_output": "late",
    }
)
EXPLANATION: Examples = MappingProxyType(
    {
        "id": "UA-1545-2013-01-01/shap",
        "time": "2013-01-01T05:16:00-05:00",
        "prediction": {"id": "UA-1545-2013-01-01"},
        "explanation": {
            "method": "shap",
            "attributions": [{"feature": "dep_delay", "value": 2, "contribution": -0.31}],
        },
    }
)

COUNTS: Examples = MappingProxyType(
    {
        "id": "gate-12/2013-01-01T10",
        "time": "2013-01-01T11:00:05Z",
        "producer": "gate-12",
        "from": "2013-01-01T10:00:00Z",
        "to": "2013-01-01T11:00:00Z",
        "counts": {"PredictionLogged": 118, "OutcomeObserved": 96},
        "dropped": 0,
        "numbers": {"first": 1, "last": 214},
    }
)

EXAMPLES: Mapping[str, Examples] = MappingProxyType(
    {
        "predictions": PREDICTION,
        "outcomes": OUTCOME,
        "oversight": OVERSIGHT,
        "explanations": EXPLANATION,
        "counts": COUNTS,
    }
)

_ENVELOPE: Examples = MappingProxyType(
    {
        "specversion": "1.0",
        "type": "modelwitness.PredictionLogged.v1",
        "source": "/gates/newark",
        "id": PREDICTION["id"],
        "time": PREDICTION["time"],
        "data": {key: PREDICTION[key] for key in ("model", "inputs", "output")},
    }
)


class CloudEventEnvelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """A CloudEvent 1.0 in JSON; further members are its extension attributes."""

    specversion: Literal["1.0"]
    type: Annotated[str, msgspec.Meta(pattern=r"^modelwitness\.[A-Za-z]+\.v1$")]
    source: Annotated[str, msgspec.Meta(min_length=1)]
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    time: datetime | None = None
    datacontenttype: str | None = None
    data: Annotated[
        dict[str, Any] | None,
        msgspec.Meta(description="What the native address of this event type takes"),
    ] = None
    data_base64: str | None = None


def _takes_predictions(data: Prediction | list[Prediction]) -> None: ...
def _takes_outcomes(data: Outcome | list[Outcome]) -> None: ...
def _takes_oversight(data: Oversight | list[Oversight]) -> None: ...
def _takes_explanations(data: ExplanationEvent | list[ExplanationEvent]) -> None: ...
def _takes_counts(data: CountsReported | list[CountsReported]) -> None: ...
def _takes_cloudevents(data: CloudEventEnvelope | list[CloudEventEnvelope]) -> None: ...


_takes: Mapping[str, Callable[..., None]] = MappingProxyType(
    {
        "predictions": _takes_predictions,
        "outcomes": _takes_outcomes,
        "oversight": _takes_oversight,
        "explanations": _takes_explanations,
        "counts": _takes_counts,
        "cloudevents": _takes_cloudevents,
    }
)


def takes(address: str) -> dict[str, Provide]:
    """`dependencies=` of an ingest route."""
    return {"event": Provide(_takes[address], sync_to_thread=False)}


_REFUSALS = {
    400: "The body is not what its content type says",
    406: "The Accept header refuses JSON",
    408: "The body did not arrive in time",
    409: "The id was logged before with other content; the conflict is recorded",
    413: "More bytes, items, nesting or keys than the limits allow",
    415: "A content type or encoding that is not read here",
    422: "Not an event as the schema wants it",
    429: "Too many events of this integration wait; see Retry-After",
}


def ingest_answers() -> dict[int, ResponseSpec]:
    """`responses=` of each ingest route."""
    refusals = {
        status: ResponseSpec(
            Refused, generate_examples=False, description=text, media_type=MEDIA_TYPE
        )
        for status, text in _REFUSALS.items()
    }
    return {
        200: ResponseSpec(
            Receipt | Batch,  # type: ignore[arg-type]  # a union is no type to mypy, but documented
            generate_examples=False,
            description="Many items: the fate of each. One event: it was there already",
        ),
        201: ResponseSpec(Receipt, generate_examples=False, description="One event was logged"),
        **documented(),
        **refusals,
    }


def native_operation(address: str) -> type[Operation]:
    """`operation_class=` of a native route: examples, JSON lines and Content-Encoding."""

    @dataclass
    class Native(Operation):
        def __post_init__(self) -> None:
            content = _content(self)
            one = dict(EXAMPLES[address])
            json = content["application/json"]
            json.examples = {"one": Example(value=one), "many": Example(value=[one])}
            content["application/x-ndjson"] = OpenAPIMediaType(
                schema=Schema(type=OpenAPIType.STRING, description="One JSON object on each line")
            )
            self.parameters = [*(self.parameters or []), _encoding()]

    return Native


@dataclass
class CloudEventOperation(Operation):
    """`operation_class=` of the CloudEvents route: its three modes."""

    def __post_init__(self) -> None:
        content = _content(self)
        derived = content.pop("application/json").schema
        if not isinstance(derived, Schema) or derived.one_of is None:
            raise TypeError("the CloudEvents route documents one envelope or a list of them")
        one, many = derived.one_of
        content["application/cloudevents+json"] = OpenAPIMediaType(
            schema=one, examples={"structured": Example(value=dict(_ENVELOPE))}
        )
        content["application/cloudevents-batch+json"] = OpenAPIMediaType(
            schema=many, examples={"batched": Example(value=[dict(_ENVELOPE)])}
        )
        content["application/json"] = OpenAPIMediaType(
            schema=Schema(
                type=OpenAPIType.OBJECT,
                description="Binary mode: the data, with the attributes in ce- headers",
            )
        )
        attributes = [
            Parameter(
                name=f"ce-{name}",
                param_in="header",
                schema=Schema(type=OpenAPIType.STRING, min_length=1),
                description="Binary mode only",
                required=False,
            )
            for name in ("specversion", "type", "source", "id", "time")
        ]
        self.parameters = [*(self.parameters or []), *attributes, _encoding()]


def _encoding() -> Parameter:
    return Parameter(
        name="Content-Encoding",
        param_in="header",
        schema=Schema(type=OpenAPIType.STRING, enum=["identity", "gzip"]),
        description="gzip where the body is compressed",
        required=False,
    )


def _content(operation: Operation) -> dict[str, OpenAPIMediaType]:
    body = operation.request_body
    if not isinstance(body, RequestBody):
        raise TypeError("an ingest route documents its body through `takes`")
    return body.content
