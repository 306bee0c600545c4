"""The wire formats that this collector reads, by name.

Decides which adapters exist: an explicit list, sorted by name, so that a declaration can name no
other and nothing is found by scanning. A module with one format exports `ADAPTER`, with several
`ADAPTERS`; one import and one line here make them known.
"""

from collections.abc import Mapping
from types import MappingProxyType

from collector.adapters import (
    azureml,
    bentoml,
    databricks,
    dynamics,
    envelopes,
    eventbridge,
    eventgrid,
    feast,
    firehose,
    freshdesk,
    hubspot,
    kserve,
    mlflow_webhook,
    native,
    netsuite,
    oip,
    openlineage,
    oracle,
    otlp,
    pubsub,
    sagemaker,
    salesforce,
    salesforce_outbound,
    sap,
    seldon,
    servicenow,
    sns,
    vertex,
    zendesk,
)
from collector.adapters.wire import Adapter
from collector.mapping import adapter as mapping

_KNOWN: tuple[Adapter, ...] = (
    # one line for each module, in order: `*salesforce.ADAPTERS,` or `zendesk.ADAPTER,`
    azureml.ADAPTER,
    bentoml.ADAPTER,
    databricks.ADAPTER,
    dynamics.ADAPTER,
    feast.ADAPTER,
    freshdesk.ADAPTER,
    hubspot.ADAPTER,
    kserve.ADAPTER,
    mapping.ADAPTER,
    mlflow_webhook.ADAPTER,
    native.ADAPTER,
    *netsuite.ADAPTERS,
    oip.ADAPTER,
    openlineage.ADAPTER,
    oracle.ADAPTER,
    otlp.ADAPTER,
    sagemaker.ADAPTER,
    salesforce.ADAPTER,
    salesforce_outbound.ADAPTER,
    sap.ADAPTER,
    seldon.ADAPTER,
    *servicenow.ADAPTERS,
    vertex.ADAPTER,
    zendesk.ADAPTER,
)

_ENVELOPES = (
    eventbridge.ENVELOPE,
    eventgrid.ENVELOPE,
    firehose.ENVELOPE,
    pubsub.ENVELOPE,
    sns.ENVELOPE,
)


def by_name(known: tuple[Adapter, ...]) -> Mapping[str, Adapter]:
    """Return adapters by name, sorted; raises `ValueError` where two share one."""
    found = {each.name: each for each in sorted(known, key=lambda each: each.name)}
    if len(found) != len(known):
        raise ValueError("two adapters have the same name")
    return MappingProxyType(found)


def _with_envelopes(known: tuple[Adapter, ...]) -> Mapping[str, Adapter]:
    """All of them, and the clouds' envelopes in which each may come."""
    inner = by_name(known)
    return by_name((*known, *(envelopes.around(each, inner) for each in _ENVELOPES)))


ADAPTERS = _with_envelopes(_KNOWN)
