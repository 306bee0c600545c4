"""A YAML file of `kind: integration` becomes a `Declared`, or is refused with place and remedy.

Decides which declarations exist at all: every key is known, adapter, verifier and their options
are names that this version has, secrets are references, and what a signature covers is declared.
Fields and an example stand in `collector.integrations.declaration`.
"""

import difflib
import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Final

from audit.declared import Section, load, text_of
from audit.errors import BadDeclaration, Rejected
from audit.events import SYSTEM, checked_name
from audit.references import PATTERN, REMEDY
from collector.adapters.envelopes import INNER, NATIVE
from collector.adapters.wire import Adapter
from collector.integrations.declaration import Credential, Declared, Outcome, Record
from collector.integrations.proof import ADDRESSES, EVERYWHERE, Verifier
from collector.mapping.language import mapping_of

MAPPING: Final = "mapping"
"""The adapter whose wire format stands in the declaration itself."""
_TOP: Final = (
    "kind", "name", "owner", "adapter", "url", "credential", "model", "subject_scheme", "writers",
    "record", "mapping", "options", "origins", "cadence", "region",
)  # fmt: skip
_RECORD: Final = ("prediction", "id", "version", "scored_at", "inputs", "outcome")
_MOST: Final = 256
_SECRETS: Final = 2
_address = re.compile(r"https?://[A-Za-z0-9\[\]._:-]+(/[^\s?#]*)?(\?[^\s#]*)?")
_origin = re.compile(r"[A-Za-z0-9*.:_-]{1,255}")
_fetchable = re.compile(
    r"(https://[A-Za-z0-9\[\]._:-]+|http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?)"
    r"(/\S*)?|file:\S{1,400}",
    re.ASCII,
)
"""Keys that came in clear text could be anybody's; only this machine is asked without TLS."""


def parse(
    text: str, adapters: Mapping[str, Adapter], verifiers: Mapping[str, Verifier]
) -> Declared:
    """Return what a file declares; raises `BadDeclaration`."""
    top = Section(load(text), "", *_TOP)
    top.one_of("kind", ["integration"])
    name = _name(text_of(top.required("name", "name the integration"), "name"), "name")
    if "/" in name or name == SYSTEM:
        raise BadDeclaration("name", "cannot stand in an address", "leave out '/', or rename it")
    adapter = adapters[_one_of(top, "adapter", list(adapters), "name what the sender speaks")]
    inner = _inner(top, adapter, adapters)
    known = {**inner.options, **adapter.options}
    credential, verifier = _credential(top, adapter, verifiers)
    url = _url(top, verifier)
    model = top.section("model", "name", "version")
    return Declared(
        name=name,
        adapter=adapter.name,
        owner=top.text("owner", "") or "",
        url=url,
        credential=credential,
        model=_part(model, "name"),
        version=_part(model, "version"),
        subject_scheme=_name(top.text("subject_scheme", "default") or "", "subject_scheme"),
        writers=_texts(top.take("writers"), "writers"),
        record=_record(top.section("record", *_RECORD)),
        mapping=_mapping(top, inner),
        options=_options(top.take("options"), "options", known, f"for {adapter.name}"),
        origins=_origins(top),
        cadence_seconds=(top.duration("cadence", 0) or 0) // 1_000_000,
        region=top.text("region", "") or "",
    )


def _inner(top: Section, adapter: Adapter, adapters: Mapping[str, Adapter]) -> Adapter:
    """The adapter that reads what an envelope carries; any other reads its own."""
    if INNER not in adapter.options:
        return adapter
    plain = [name for name, each in adapters.items() if INNER not in each.options]
    options = top.section("options")
    return adapters[NATIVE if options is None else options.one_of(INNER, plain, NATIVE)]


def _credential(
    top: Section, adapter: Adapter, verifiers: Mapping[str, Verifier]
) -> tuple[Credential, Verifier]:
    section = top.section("credential", "verify", "secrets", "options")
    usable = [
        name for name, each in verifiers.items() if each.any_sender or name in adapter.verifiers
    ]
    if section is None:
        return Credential(), verifiers["bearer"]
    verifier = verifiers[section.one_of("verify", usable, "bearer")]
    secrets = _texts(section.take("secrets"), section.at("secrets"))
    for at, reference in enumerate(secrets):
        if not PATTERN.fullmatch(reference):
            raise BadDeclaration(f"{section.at('secrets')}[{at}]", "is not a reference", REMEDY)
    if verifier.secrets != bool(secrets):
        wanted = REMEDY if verifier.secrets else "leave it out"
        what = "is missing" if verifier.secrets else f"means nothing to {verifier.name}"
        raise BadDeclaration(section.at("secrets"), what, wanted)
    if len(secrets) > _SECRETS:
        raise BadDeclaration(section.at("secrets"), "names too many", "keep the newest two")
    options = _options(
        section.take("options"),
        section.at("options"),
        {**verifier.options, **EVERYWHERE},
        f"for {verifier.name}",
    )
    _check_options(section.at("options"), verifier, options)
    return Credential(verify=verifier.name, secrets=secrets, options=options), verifier


def _check_options(place: str, verifier: Verifier, options: Mapping[str, str]) -> None:
    for key in sorted(verifier.required - options.keys()):
        raise BadDeclaration(f"{place}.{key}", "is missing", verifier.options[key])
    for each in options.get(ADDRESSES, "").split("\n") if ADDRESSES in options else ():
        try:
            ip_network(each, strict=False)
        except ValueError:
            raise BadDeclaration(
                f"{place}.{ADDRESSES}", "holds what is no network", "write [192.0.2.0/24]"
            ) from None
    if verifier.name == "jwt":
        if not options.keys() & {"email", "claims"}:
            raise BadDeclaration(
                f"{place}.email",
                "is missing",
                "name the account or its claims: anybody can ask an issuer for this audience",
            )
        if not _fetchable.fullmatch(options["jwks"]):
            raise BadDeclaration(f"{place}.jwks", "is no address", "write https://… or file:PATH")
    tolerance = options.get("tolerance_seconds")
    if tolerance is not None and not (tolerance.isdecimal() and 0 < int(tolerance) <= 86_400):
        raise BadDeclaration(
            f"{place}.tolerance_seconds", "is out of range", "write whole seconds 1…86400"
        )


def _url(top: Section, verifier: Verifier) -> str:
    url = top.text("url", "") or ""
    if url and not _address.fullmatch(url):
        raise BadDeclaration(
            "url", "is no address without credentials", "write https://HOST/in/NAME"
        )
    if verifier.signs_url and not url:
        raise BadDeclaration(
            "url", "is missing", "write the address as the sender knows it: it signs that"
        )
    return url


def _record(section: Section | None) -> Record | None:
    if section is None:
        return None
    found = section.section("outcome", "field", "terminal")
    outcome = None
    if found is not None:
        field = text_of(found.required("field", "name the field"), found.at("field"))
        terminal = Section(
            found.required("terminal", "write {VALUE: OUTCOME}"), found.at("terminal")
        )
        outcome = Outcome(
            field=field,
            terminal={
                text_of(key, terminal.path): _scalar(value, terminal.at(key))
                for key, value in terminal.items()
            },
        )
    wanted = "name the field that holds the prediction"
    return Record(
        prediction=text_of(section.required("prediction", wanted), section.at("prediction")),
        id=section.text("id", "") or "",
        version=section.text("version", "") or "",
        scored_at=section.text("scored_at", "") or "",
        inputs=_texts(section.take("inputs"), section.at("inputs")),
        outcome=outcome,
    )


def _mapping(top: Section, adapter: Adapter) -> Mapping[str, Any] | None:
    found = top.take("mapping")
    if (adapter.name == MAPPING) != (found is not None):
        if found is None:
            raise BadDeclaration("mapping", "is missing", "say how a body becomes events")
        raise BadDeclaration("mapping", "belongs to adapter mapping", "leave it out")
    if found is None:
        return None
    mapping_of(found, MAPPING)  # refuses what cannot work, before anything is logged with it
    return dict(Section(found, "mapping").items())


def _origins(top: Section) -> tuple[str, ...]:
    origins = _texts(top.take("origins"), "origins")
    for at, each in enumerate(origins):
        if not _origin.fullmatch(each):
            raise BadDeclaration(f"origins[{at}]", "is no host", "write eventgrid.azure.net")
    return tuple(each.lower() for each in origins)


def _options(value: object, place: str, known: Mapping[str, str], whose: str) -> dict[str, str]:
    """Options as text; a list is one text with a line for each."""
    if value is None:
        return {}
    found: dict[str, str] = {}
    for key, each in Section(value, place).items():
        if key not in known:
            near = difflib.get_close_matches(key[:64], known, 1)
            listed = f"known {whose}: {', '.join(known)}" if known else f"none is known {whose}"
            raise BadDeclaration(
                f"{place}.{key[:64]}",
                "is not a known key",
                f"did you mean '{near[0]}'?" if near else listed,
            )
        texts = each if isinstance(each, list) else [each]
        if not 0 < len(texts) <= _MOST:
            raise BadDeclaration(f"{place}.{key}", "is empty or too long", known[key])
        found[key] = "\n".join(str(_shown(one, f"{place}.{key}")) for one in texts)
    return found


def _shown(value: object, place: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return text_of(value, place)


def _scalar(value: object, place: str) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return text_of(value, place)


def _texts(value: object, place: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not 0 < len(value) <= _MOST:
        raise BadDeclaration(place, "is no short list", f"write a list of 1…{_MOST} texts")
    found = tuple(text_of(each, f"{place}[{at}]") for at, each in enumerate(value))
    if len(set(found)) < len(found):
        raise BadDeclaration(place, "says one thing twice", "keep one of them")
    return found


def _part(section: Section | None, key: str) -> str:
    if section is None or section.take(key) is None:
        return "-"
    return _name(text_of(section.take(key), section.at(key)), section.at(key))


def _name(name: str, place: str) -> str:
    try:
        return checked_name(name)
    except Rejected as error:
        raise BadDeclaration(place, "holds a character that names may not", error.remedy) from None


def _one_of(section: Section, key: str, allowed: list[str], wanted: str) -> str:
    section.required(key, wanted)
    return section.one_of(key, allowed)
