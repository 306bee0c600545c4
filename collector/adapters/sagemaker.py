"""SageMaker's data capture and ground truth: JSON lines in a bucket, or posted by whoever reads it.

Decides what a captured call is, and which prediction a label is about. Formats: Amazon SageMaker
Developer Guide, "Capture data" and "Ingest ground truth labels".

    {"captureData": {"endpointInput":  {"observedContentType", "mode", "data", "encoding"},
                     "endpointOutput": {…}},
     "eventMetadata": {"eventId", "inferenceTime", "inferenceId"?}, "eventVersion": "0"}
    {"groundTruthData": {"data", "encoding"}, "eventMetadata": {"eventId", …}, "eventVersion": "0"}

The id is the caller's `inferenceId` where there is one, since labels name that one in `eventId`;
option `ids: eventId` takes SageMaker's own. Encodings CSV and JSON are read, BASE64 as far as the
observed content type is text; a CSV body of several lines is as many predictions.

**Files**: `…/{endpoint}/{variant}/yyyy/mm/dd/hh/*.jsonl`, final only after their hour. Endpoint and
variant are model and version: lines do not tell them, `of_path` does. Labels lie under the same
hours, and that hour is their time where the line tells none.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from audit.events import Event
from collector.adapters import calls, times
from collector.adapters.bodies import Lines, object_of, value_of
from collector.adapters.calls import Call, adapted, arrival, identified, origin_of
from collector.adapters.changes import event_from
from collector.adapters.instances import Part, output_of, part_of
from collector.adapters.rows import each_row
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

OPTIONS: Mapping[str, str] = {
    **calls.OPTIONS,
    "ids": "`eventId` takes SageMaker's id of a call even where the caller gave an inferenceId.",
}
_path = re.compile(r"(?:^|/)([^/]+)/([^/]+)/(\d{4})/(\d\d)/(\d\d)/(\d\d)/[^/]+$", re.ASCII)
_media = {"CSV": "text/csv", "JSON": "application/json"}
_NOWHERE: Mapping[str, str] = MappingProxyType({})


def of_path(path: str) -> dict[str, str]:
    """The model (endpoint), version (variant) and hour that a file's path tells; empty if none."""
    found = _path.search(path)
    if found is None:
        return {}
    hour = f"{found[3]}-{found[4]}-{found[5]}T{found[6]}:00:00Z"
    return {"model": found[1], "version": found[2], "hour": hour}


def read(message: Message, declared: Declared) -> Adapted:
    """Read captured calls and labels; see `Adapter`."""
    return each_row(message, lambda raw: row(raw, declared, received_us=message.received_us))


def row(
    raw: bytes, declared: Declared, place: Mapping[str, str] = _NOWHERE, received_us: int = 0
) -> Adapted:
    """Read one line of a file at `place`, as `of_path` tells; raises `CollectorError`."""
    line = object_of(raw)
    about = _object(line, "eventMetadata")
    moment = times.of_value(about["inferenceTime"]) if about.get("inferenceTime") else None
    given = about.get("inferenceId") if declared.options.get("ids") != "eventId" else None
    id = identified(given or about.get("eventId"), "eventMetadata/eventId")
    if "groundTruthData" in line:
        hour = times.of_text(place["hour"]) if "hour" in place else None
        return Adapted(events=_labels(id, line, moment or hour, declared, received_us))
    captured = _object(line, "captureData")
    if moment is None:
        raise Invalid(
            "the captured call has no time",
            field="/eventMetadata/inferenceTime",
            remedy="Send lines as SageMaker captured them.",
        )
    request = _side(captured.get("endpointInput"))
    response = _side(captured.get("endpointOutput"))
    if request is None and response is None:
        raise Invalid(
            "the line holds neither input nor output",
            field="/captureData",
            remedy="Let the endpoint capture both (CaptureOptions: Input, Output).",
        )
    if request is not None and response is not None:
        response = _agreeing(request, response)
    call = Call(
        id=id,
        moment=moment,
        request=request,
        response=response,
        place=place,
        references={
            key: str(about[key])
            for key in ("eventId", "inferenceId")
            if isinstance(about.get(key), str) and about[key] != id
        },
        origin=origin_of("sagemaker", event=about.get("eventId")),
        wire={"customAttributes": about.get("customAttributes")},
    )
    return adapted(call, declared, raw)


def _side(value: Any) -> Part | None:
    """What was captured of one side; None where that side was not."""
    if not isinstance(value, dict) or not isinstance(text := value.get("data"), str):
        return None
    encoding = str(value.get("encoding", "")).upper()
    observed = value.get("observedContentType")
    media = observed if isinstance(observed, str) else ""
    if encoding != "BASE64":
        return part_of(value_of(text.encode(), _media.get(encoding, media)))
    try:
        return part_of(value_of(b64decode(text, validate=True), media))
    except ValueError:
        raise Invalid(
            "data that is said to be BASE64 is not",
            field="/captureData",
            remedy="Send lines as SageMaker captured them.",
        ) from None


def _agreeing(request: Part, response: Part) -> Part:
    """Results that stand in one CSV line, as some containers write them: one for each instance."""
    if request.rows is None or response.rows is None or len(response.rows) != 1:
        return response
    line = response.rows[0]
    if isinstance(line, list) and len(line) == len(request.rows) > 1:
        return part_of(Lines(line))
    return response


def _labels(
    id: str, line: dict[str, Any], moment: Moment | None, declared: Declared, received_us: int
) -> list[Event]:
    truth = _side(line["groundTruthData"])
    if truth is None or truth.whole is None:
        raise Invalid(
            "the label is empty", field="/groundTruthData/data", remedy="Send the observed value."
        )
    rows = [truth.whole] if truth.rows is None else [output_of(each, truth) for each in truth.rows]
    made = []
    for position, outcome in enumerate(rows):
        suffix = "" if len(rows) == 1 else f"/{position}"
        body: dict[str, Any] = {
            "id": f"{id}{suffix}",
            "prediction": {"id": f"{id}{suffix}"},
            "outcome": outcome,
            "label_source": "sagemaker:ground-truth",
        }
        facts = dict(body)  # a label that is delivered again may have no time but arrival's
        body["time"] = arrival(received_us) if moment is None else moment.rfc3339
        body["origin"] = origin_of(
            "sagemaker",
            received_time_text=None if moment is None else moment.original,
            time="received" if moment is None else None,
        )
        made.append(event_from("OutcomeObserved", declared.name, body, facts))
    return made


def _object(line: dict[str, Any], name: str) -> dict[str, Any]:
    value = line.get(name)
    if isinstance(value, dict):
        return value
    raise Invalid(
        "the line is neither a captured call nor a label",
        field=f"/{name}",
        remedy="Send lines of data capture or of ground truth, as the bucket holds them.",
    )


ADAPTER = Adapter(name="sagemaker", read=read, row=row, of_path=of_path, options=OPTIONS)
