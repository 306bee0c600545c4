"""The declaration of files: what a YAML file of `kind: files` says.

Decides the fields. Options of the file system are references (`env:NAME`, `file:PATH`) unless they
are plainly no secret; `collector.files.place` resolves them.

    kind: files
    name: captures
    integration: pricing           # whose events they are
    rows: integration              # read by the adapter that `pricing` is declared with; or
                                   # predictions, outcomes, oversight, explanations: our own fields
    location: s3://bucket/captures # any address that fsspec reads; a folder for local files
    pattern: "**/*.jsonl"
    format: jsonl                  # jsonl, csv, parquet; .gz is unpacked; default: by the ending
    final_after: 5m                # how long a file must not change until its last line is one
    every: 30s                     # how often to look
    session: 10s                   # silence after which another process takes this one's place
    paused: false                  # true: declared, and not read
    expect: {path: "%Y/%m/%d/%H", every: 1h, within: 90m}   # a partition that is late is an alert
    options: {key: env:S3_KEY, secret: env:S3_SECRET, endpoint_url: "http://store:9000"}
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from audit.declared import Section, load, text_of
from audit.errors import BadDeclaration, Rejected
from audit.events import checked_name
from audit.references import PATTERN, REMEDY
from collector.delivery import NATIVE

FORMATS: Final = ("jsonl", "csv", "parquet")
BY_INTEGRATION: Final = "integration"
_KEYS: Final = (
    "kind", "name", "integration", "rows", "location", "pattern", "format", "final_after",
    "every", "session", "paused", "expect", "options",
)  # fmt: skip
_secret = re.compile(r"key|secret|token|password|credential|connection|sas", re.IGNORECASE)
_account = re.compile(r"://[^/]*:[^/]*@")
_MINUTE_US: Final = 60_000_000


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A partition for each `every_us`, at strftime `path`, there `within_us` after its end."""

    path: str
    every_us: int
    within_us: int


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """One set of files; `format` is empty where the ending tells it."""

    name: str
    integration: str
    location: str
    rows: str = BY_INTEGRATION
    pattern: str = "**"
    format: str = ""
    final_after_us: int = 5 * _MINUTE_US
    every_us: int = 30_000_000
    session_seconds: int = 10
    paused: bool = False
    expected: Expected | None = None
    options: Mapping[str, str | bool | int] = {}


def parse(text: str) -> Files:
    """Return what a file declares; raises `BadDeclaration` naming place and remedy."""
    file = Section(load(text), "", *_KEYS)
    file.one_of("kind", ["files"])
    return Files(
        name=_name(file, "name"),
        integration=_name(file, "integration"),
        location=_location(file),
        rows=file.one_of("rows", [BY_INTEGRATION, *NATIVE], BY_INTEGRATION),
        pattern=file.text("pattern", "**") or "**",
        format="" if file.take("format") is None else file.one_of("format", FORMATS),
        final_after_us=file.duration("final_after", 5 * _MINUTE_US) or 0,
        every_us=file.duration("every", 30_000_000) or 0,
        session_seconds=max(1, (file.duration("session", 10_000_000) or 0) // 1_000_000),
        paused=file.flag("paused", False),
        expected=_expected(file.section("expect", "path", "every", "within")),
        options=_options(file.section("options")),
    )


def _name(file: Section, key: str) -> str:
    name = text_of(file.required(key, "write a name of letters, digits and ._:@-"), key)
    try:
        return checked_name(name)
    except Rejected as error:
        raise BadDeclaration(key, "holds characters that a name may not", error.remedy) from None


def _location(file: Section) -> str:
    location = text_of(file.required("location", "write a folder or an address"), "location")
    if _account.search(location):
        raise BadDeclaration("location", "holds an account", f"put it into options: {REMEDY}")
    return location


def _expected(section: Section | None) -> Expected | None:
    if section is None:
        return None
    path = text_of(section.required("path", 'write "%Y/%m/%d/%H"'), section.at("path"))
    if "%" not in path:
        raise BadDeclaration(section.at("path"), "names no time", 'write "%Y/%m/%d/%H"')
    every = section.duration("every", None)
    within = section.duration("within", 0)
    if not every or every < _MINUTE_US:
        raise BadDeclaration(section.at("every"), "is missing or too short", 'write "1h"')
    return Expected(path=path, every_us=every, within_us=within or 0)


def _options(section: Section | None) -> dict[str, str | bool | int]:
    found: dict[str, str | bool | int] = {}
    for key, value in () if section is None else section.items():
        if isinstance(value, bool | int):
            found[key] = value
            continue
        text = text_of(value, f"options.{key}")
        if _secret.search(key) and not PATTERN.fullmatch(text):
            raise BadDeclaration(f"options.{key}", "is no reference", REMEDY)
        found[key] = text
    return found
