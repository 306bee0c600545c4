"""What the page of integrations promises beyond its states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard import canned_integrations
from tests.dashboard.canned import problem
from tests.dashboard.fake_api import FakeApi

Open = Callable[..., AppTest]
Said = Callable[[AppTest], str]


def test_the_worst_integration_comes_first_and_is_the_one_shown(page: Open, said: Said) -> None:
    text = said(page("integrations"))
    table = text[text.index("Integrations by state") :].split("</table>")[0]
    places = [table.index(f">{name}</a>") for name in ("gate-lga", "gate-ewr", "gate-jfk")]
    assert places == sorted(places)
    assert "<h2>gate-lga</h2>" in text
    assert "Nothing logged for 3 h; declared cadence: 1 h." in text


def test_an_address_opens_one_integration(page: Open, said: Said, api: FakeApi) -> None:
    text = said(page("integrations", integration="gate-ewr"))
    assert "<h2>gate-ewr</h2>" in text
    assert "42.0 s ahead of ours" in text
    assert ("GET", "/v1/integrations/gate-ewr/gaps") in {each[:2] for each in api.asked}


def test_gaps_are_listed_with_the_times_around_them_and_counts_beside_ours(
    page: Open, said: Said
) -> None:
    text = said(page("integrations"))
    assert "3 numbers missing" in text
    assert "17 – 18" in text
    assert "1 report of 3 differ" in text
    assert "4 events never sent" in text


def test_without_numbers_and_counts_nothing_is_called_complete(
    api: FakeApi, page: Open, said: Said
) -> None:
    api.answers["gaps"] = lambda _: (200, {"items": []})
    api.answers["counts"] = lambda _: (200, {"items": []})
    text = said(page("integrations", integration="gate-jfk"))
    assert "Not counted by numbers" in text
    assert "Nothing was reported" in text
    assert "No number is missing" not in text
    assert "Counts agree" not in text


def test_an_integration_that_nobody_looked_at_is_not_green(
    api: FakeApi, page: Open, said: Said
) -> None:
    one = {"name": "new", "events": 3, "health": {"state": "unknown", "reasons": ["not yet"]}}
    api.answers["/v1/integrations"] = lambda _: (200, {"items": [one]})
    text = said(page("integrations"))
    row = text[text.index("Integrations by state") :].split("</table>")[0]
    assert "mw-none" in row
    assert "mw-ok" not in row
    assert "0 of 1" in text


@pytest.mark.parametrize("told", ["HTTP", "Python", "OpenTelemetry"])
def test_the_next_one_is_connected_by_pasting(
    told: str, page: Open, said: Said, api: FakeApi
) -> None:
    app = page("integrations")
    assert told in [tab.label for tab in app.tabs]
    codes = "\n".join(each.value for each in app.code)
    for line in (
        f"curl -X POST {api.address}/v1/predictions",
        f'Client("{api.address}"',
        f"OTEL_EXPORTER_OTLP_ENDPOINT={api.address}",
        "kind: integration",
    ):
        assert line in codes


def test_what_is_in_quarantine_is_replayed(page: Open, said: Said, api: FakeApi) -> None:
    app = page("integrations", integration="gate-lga")
    assert "/model/version is missing" in said(app)
    allowed(api)
    app.run()
    app.button(key="replay").click().run()
    assert ("POST", f"/v1/quarantine/{1:024x}/replay") in {each[:2] for each in api.asked}
    assert "All of it is taken" in said(app)


def test_what_is_refused_again_stays_and_says_so(page: Open, said: Said, api: FakeApi) -> None:
    allowed(api)
    rejected = [{"position": 0}]
    answer = {"accepted": 11, "duplicates": 0, "rejected": rejected}
    api.answers["replay"] = lambda _: (200, answer)
    app = page("integrations")
    app.button(key="replay").click().run()
    assert "1 item refused again" in said(app)


def test_a_discard_asks_before_it_gives_up_anything(page: Open, said: Said, api: FakeApi) -> None:
    allowed(api)
    app = page("integrations")
    app.button(key="discard").click().run()
    assert "This cannot be taken back" in said(app)
    assert app.text_area[0].label == "Reason"
    assert not any(each[1].endswith("/discard") for each in api.asked)


def test_who_may_replay_only_its_own_gives_nothing_up(page: Open, api: FakeApi) -> None:
    allowed(api, "own")
    app = page("integrations")
    keys = [button.key for button in app.button]
    assert "replay" in keys
    assert "discard" not in keys


def test_who_may_not_see_quarantine_is_told_so_and_sees_the_rest(
    page: Open, said: Said, api: FakeApi
) -> None:
    needed = "replay quarantine needs the role ops or audit"
    api.answers["/v1/quarantine"] = lambda _: problem(403, "Not permitted", needed)
    app = page("integrations")
    assert "Replay quarantine needs the role ops or audit." in said(app)
    assert "Integrations by state" in said(app)


def test_a_sender_sees_its_own_integration_without_seeing_models(
    page: Open, said: Said, api: FakeApi
) -> None:
    own = {"name": "gate-lga", "events": 3, "health": canned_integrations.HEALTH["gate-lga"]}
    api.answers["/v1/models"] = lambda _: problem(403, "Not permitted", "needs the role ops")
    api.answers["/v1/integrations"] = lambda _: (200, {"items": [own]})
    text = said(page("integrations"))
    assert "<h2>gate-lga</h2>" in text
    assert "your role may not see this" not in text


def test_an_alert_of_an_integration_names_it_and_leads_there(
    page: Open, said: Said, api: FakeApi
) -> None:
    alert = {"id": "a", "kind": "silence", "integration": "gate-lga", "reason": "nothing logged"}
    api.answers["/v1/alerts"] = lambda _: (200, {"items": [alert]})
    text = said(page("cases"))
    assert '<a href="integrations?integration=gate-lga"' in text


def allowed(api: FakeApi, how: str = "allow") -> None:
    answer = api.answers["/v1/me"]

    def me(query: dict[str, str]) -> tuple[int, Any]:
        status, body = answer(query)
        return status, body | {"can": body["can"] | {"replay_quarantine": how}}

    api.answers["/v1/me"] = me
