"""The declaration of an integration: what a YAML file of `kind: integration` says.

Decides the fields. Reading the file and checking it stands in `collector.integrations.reading`;
secrets are references (`env:NAME`, `file:PATH`) and are never in a declaration by value.

    kind: integration
    name: crm                      # who the events belong to
    owner: sales-ops
    adapter: salesforce.outbound   # a name of collector.adapters, or `mapping` with `mapping:`
    url: https://logs.example.com/in/crm     # under which the sender calls; signed by some
    credential: {verify: hubspot-v3, secrets: [env:HUBSPOT_SECRET, file:/run/old-secret]}
    model: {name: lead-score, version: "3"}  # where the wire names none
    writers: ["0055g00000AbCde"]   # accounts under which the model itself writes
    record:                        # business systems: where a prediction stands in a record
      prediction: Score__c
      id: Score_Id__c              # optional stamps, see collector/README.md
      version: Score_Version__c
      scored_at: Scored_At__c
      outcome: {field: StageName, terminal: {Closed Won: won, Closed Lost: lost}}
    options: {}                    # the adapter's own
    origins: [eventgrid.azure.net] # who may ask consent to deliver CloudEvents (OPTIONS)
    cadence: 1h
    region: eu
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """How a sender proves who it is: the name of a verifier, and what that needs.

    `secrets` are references, newest first; any of them is accepted, so that they can be rotated.
    """

    verify: str = "bearer"
    secrets: tuple[str, ...] = ()
    options: Mapping[str, str] = {}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The field of a record whose terminal values are the truth about its prediction."""

    field: str
    terminal: Mapping[str, Any]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Where a business system's record keeps a prediction; names are the system's own."""

    prediction: str
    id: str = ""
    version: str = ""
    scored_at: str = ""
    inputs: tuple[str, ...] = ()
    outcome: Outcome | None = None


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One integration; `model` and `version` are "-" where the wire names them."""

    name: str
    adapter: str
    owner: str = ""
    url: str = ""
    credential: Credential = Credential()
    model: str = "-"
    version: str = "-"
    subject_scheme: str = "default"
    writers: tuple[str, ...] = ()
    record: Record | None = None
    mapping: Mapping[str, Any] | None = None
    options: Mapping[str, str] = {}
    origins: tuple[str, ...] = ()
    cadence_seconds: int = 0
    region: str = ""
