"""How to connect the next system: what to run, to paste or to declare, with this API's address."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import streamlit as st

from dashboard import looks, wording
from dashboard.frame import Frame

_CREDENTIAL: Final = """\
# printed once; the events belong to this integration from now on
modelwitness tokens create --role integration --integration my-app

"""
_CURL: Final = (
    _CREDENTIAL
    + """\
curl -X POST {api}/v1/predictions \\
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{{"id": "order-1", "time": "{now}",
       "producer": "web-1", "sequence": 1,
       "model": {{"name": "my-model", "version": "1"}},
       "inputs": {{"amount": 12.5}}, "output": "accept", "score": 0.93,
       "latency_ms": {{"total": 8.2}}}}'

# what you counted yourself, by the hour: compared with what is here
curl -X POST {api}/v1/counts \\
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{{"id": "web-1/{hour}", "time": "{now}", "producer": "web-1",
       "from": "{hour}", "to": "{next}", "counts": {{"PredictionLogged": 1}}}}'
"""
)
_PYTHON: Final = """\
# pip install modelwitness: the client needs httpx and msgspec only
from collector.client import Client

client = Client("{api}", token="mw_…", spool="var/spool.db")

@client.predicts("my-model", "1")
def score(amount: float) -> str:
    return "accept" if amount < 100 else "refer"

score(12.5)
client.close()  # or at the end of the program: sends what is left and what it counted
"""
_OTLP: Final = (
    _CREDENTIAL
    + """\
export OTEL_EXPORTER_OTLP_ENDPOINT={api}
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20$TOKEN"
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
"""
)
_DECLARED: Final = """\
# modelwitness apply crm.yaml        then let the system send to {api}/in/crm
kind: integration
name: crm
owner: sales-ops             # who is told when it falls silent
cadence: 1h                  # the longest that it is ever silent
adapter: hubspot             # or another of collector/README.md, or mapping
url: https://logs.example.com/in/crm
credential: {{verify: hubspot-v3, secrets: ["env:HUBSPOT_SECRET"]}}
model: {{name: lead-score, version: "1"}}
record: {{prediction: lead_score, outcome: {{field: status, terminal: {{won: won, lost: lost}}}}}}
"""


def show(frame: Frame) -> None:
    """The four ways in, one at a time."""
    st.html(
        looks.heading("Connect the next one", "each is complete: paste it and change the names")
    )
    hour = frame.now.replace(minute=0, second=0, microsecond=0)
    names = {
        "api": frame.address,
        "now": wording.rfc3339(frame.now),
        "hour": wording.rfc3339(hour),
        "next": wording.rfc3339(hour + timedelta(hours=1)),
    }
    ways = {
        "HTTP": (_CURL, "bash"),
        "Python": (_PYTHON, "python"),
        "OpenTelemetry": (_OTLP, "bash"),
        "A system that sends webhooks": (_DECLARED, "yaml"),
    }
    for tab, (text, language) in zip(st.tabs(list(ways)), ways.values(), strict=True):
        with tab:
            st.code(text.format(**names), language=language, wrap_lines=True)
