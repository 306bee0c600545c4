"""ServiceNow: records that a business rule or flow posts, and rows of its predictor results.

Not verified: ServiceNow defines no webhook, and a row of `ml_predictor_results` was not to be had;
the columns are options. Decides the bodies that are read:

    {"table": "incident", "current": {…}, "previous": {…}}   a business rule: what changed is known
    {"result": {…}} or {"result": [{…}]}                     the Table API's form: latest values
    {"result": [{"sys_id", "predicted_output_value", "final_output_value", …}]}   predictor results

All values are text, references are {"link", "value"}, times are UTC without a zone. A predictor
result is a prediction, and an outcome as soon as its final value is there; ServiceNow writes that
when the record is closed, so it is the best label this system has. The caller is the customer's
own script, so what cannot be read is answered 400.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from audit.events import Event
from collector.adapters import changes, times
from collector.adapters.changes import Change, Reader, event_from, sent_on
from collector.adapters.texts import object_of, parts_of
from collector.adapters.wire import Adapted, Adapter, Message, Refused
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared

_encode = msgspec.json.encode
_NEVER_SET = ("", None)
_unnamed = re.compile(r"[^A-Za-z0-9._:/@-]+")
_percent = re.compile(r"\d{1,3}(?:\.\d{1,12})?", re.ASCII)

COLUMNS: Mapping[str, str] = {
    "predicted": "predicted_output_value",
    "final": "final_output_value",
    "confidence": "predicted_confidence",
    "correct": "predicted_correctly",
    "solution": "solution",
    "source": "source",
}
"""The columns of the predictor results, as their labels suggest; each is an option."""


def read_records(message: Message, declared: Declared) -> Adapted:
    """Read records, or a record with its state before; see `Adapter`."""
    reader = Reader("servicenow.records", declared, verified=False)
    return reader.read(_rows(message.unpacked), lambda raw: _record(raw, declared))


def read_results(message: Message, declared: Declared) -> Adapted:
    """Read rows of predictor results; see `Adapter`."""
    events: list[Event] = []
    refused: list[Refused] = []
    rows = list(_rows(message.unpacked))
    for raw in rows:
        try:
            events.extend(_result(_plain(object_of(raw)), declared))
        except CollectorError as error:
            if len(rows) == 1:
                raise
            refused.append(Refused(raw, error))
    return Adapted(events=events, refused=refused)


def _rows(body: bytes) -> Iterator[bytes]:
    for part in parts_of(body):
        whole = object_of(part)
        result = whole.get("result")
        if isinstance(result, list):
            yield from (_encode(each) for each in result)
        elif isinstance(result, dict):
            yield _encode(result)
        else:
            yield part


def _record(raw: bytes, declared: Declared) -> Iterator[Change]:
    told = object_of(raw)
    current, previous = told.get("current"), told.get("previous")
    fields = _plain(current if isinstance(current, dict) else told)
    old = _plain(previous) if isinstance(previous, dict) else {}
    changed = sent_on(declared, fields)
    if old:
        changed = frozenset(name for name in fields if old.get(name, "") != fields[name])
    table = fields.get("sys_class_name") or told.get("table")
    who = fields.get("sys_updated_by")
    yield Change(
        system="servicenow",
        object=declared.options.get("object", "") or (table if isinstance(table, str) else ""),
        id=_text(fields, "sys_id"),
        time=_time(fields, "sys_updated_on", declared),
        new=fields,
        old=old,
        changed=changed,
        accounts=(who,) if isinstance(who, str) and who else (),
        created=fields.get("sys_mod_count") == "0",
        key=_text(fields, "sys_mod_count"),
        origin={"number": _text(fields, "number")},
    )


def _result(row: Mapping[str, Any], declared: Declared) -> Iterator[Event]:
    named = {name: declared.options.get(name, column) for name, column in COLUMNS.items()}
    id, output = _text(row, "sys_id"), row.get(named["predicted"])
    if not id or output in _NEVER_SET:
        raise Invalid(
            "the row is no predictor result",
            field=f"/{named['predicted'] if id else 'sys_id'}",
            remedy="Send rows of ml_predictor_results, and name its columns by options.",
        )
    solution = _unnamed.sub("-", _text(row, named["solution"]))[:128]
    model = {
        "name": declared.model if declared.model != "-" else solution or "-",
        "version": declared.version,
    }
    origin = {
        "adapter": "servicenow.results",
        "verified": False,
        "predicted_correctly": row.get(named["correct"]),
    }
    source = _text(row, named["source"])
    shared: dict[str, Any] = {}
    if source:
        shared["references"] = {changes.RECORD: f"servicenow:{source}"[:240]}
    created = _time(row, "sys_created_on", declared)
    body = {
        "id": id,
        "time": created.rfc3339,
        "model": model,
        "inputs": {},
        "output": output,
        **shared,
        "origin": {**origin, "received_time_text": created.text},
    }
    confidence = _text(row, named["confidence"])
    if _percent.fullmatch(confidence) and float(confidence) <= 100:
        body["confidence"] = float(confidence) / 100
    facts = {"id": id, "output": output}
    yield event_from("PredictionLogged", declared.name, body, facts)
    final = row.get(named["final"])
    if final not in _NEVER_SET:
        updated = _time(row, "sys_updated_on", declared)
        label = {
            "id": f"{id}:final:{final}"[:256],
            "time": updated.rfc3339,
            "prediction": {"id": id},
            "model": model,
            "outcome": final,
            "label_source": "servicenow:ml_predictor_results",
            **shared,
            "origin": {**origin, "received_time_text": updated.text},
        }
        facts = {"prediction": id, "outcome": final}
        yield event_from("OutcomeObserved", declared.name, label, facts)


def _time(fields: Mapping[str, Any], name: str, declared: Declared) -> times.Moment:
    text = _text(fields, name)
    if not text:
        raise Invalid(
            "the record does not say when it changed",
            field=f"/{name}",
            remedy="Send the record's sys_ fields too.",
        )
    return times.of_text(text, declared.options.get("zone", "UTC"))


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with references as their values."""
    return {
        name: value["value"] if isinstance(value, dict) and "value" in value else value
        for name, value in fields.items()
    }


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return str(value).strip() if isinstance(value, str | int) else ""


ADAPTERS = (
    Adapter(
        name="servicenow.records",
        read=read_records,
        options={
            **changes.OPTIONS,
            "sent_on": changes.SENT_ON,
            "object": "The table of the records; without it, sys_class_name or `table`.",
        },
    ),
    Adapter(
        name="servicenow.results",
        read=read_results,
        options={
            "zone": changes.OPTIONS["zone"],
            **{name: f"The column for {name}; without it, {c}." for name, c in COLUMNS.items()},
        },
    ),
)
