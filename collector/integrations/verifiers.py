"""The ways to prove who calls, by the name that declarations use: an explicit list, sorted."""

from collections.abc import Mapping
from types import MappingProxyType

from collector.integrations.jwt import JWT
from collector.integrations.presenting import PRESENTING
from collector.integrations.proof import Verifier
from collector.integrations.signatures import SIGNATURES
from collector.integrations.sns import SNS

VERIFIERS: Mapping[str, Verifier] = MappingProxyType(
    {
        each.name: each
        for each in sorted((*SIGNATURES, *PRESENTING, JWT, SNS), key=lambda each: each.name)
    }
)
