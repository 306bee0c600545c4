"""What single pages promise beyond their states."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.canned_decision import trace
from tests.dashboard.canned_drift import drift
from tests.dashboard.fake_api import FakeApi

Open = Callable[..., AppTest]
Said = Callable[[AppTest], str]


def test_an_insufficient_window_is_never_green(page: Open, said: Said) -> None:
    app = page("drift", range="all", window="2013-02-01 – 2013-02-28")
    headline = re.search(r'<div class="mw-notice mw-(\w+)"', said(app))
    assert headline is not None
    assert headline.group(1) == "none"
    assert "not enough rows to judge" in said(app)
    figure = said(app)[said(app).index("<dt>Inputs drifted") :].split("</div>")[0]
    assert "not judged" in figure
    assert "no faults" not in figure
    assert "0 of" not in figure


def test_an_unjudged_model_keeps_the_overview_from_saying_all_is_well(
    api: FakeApi, page: Open, said: Said
) -> None:
    answer = api.answers["/v1/overview"]

    def calm(query: dict[str, str]) -> tuple[int, object]:
        status, body = answer(query)
        body["models"] = [each for each in body["models"] if each["status"] == "unknown"]
        return status, body

    api.answers["/v1/overview"] = calm
    app = page("overview", range="all")
    assert "not everything has been judged" in said(app)
    assert "Nothing needs attention" not in said(app)


def calm_overview(api: FakeApi, last: str | None, verdict: str | None) -> None:
    """One model whose status the API calls ok."""
    answer = api.answers["/v1/overview"]

    def calm(query: dict[str, str]) -> tuple[int, object]:
        status, body = answer(query)
        well = {"status": "ok", "last_prediction": last, "verdict": verdict}
        body["models"] = [each | well for each in body["models"] if each["version"] == "2"]
        return status, body | {"alerts_open": 0, "cases_open": 0}

    api.answers["/v1/overview"] = calm


@pytest.mark.parametrize(
    ("last", "verdict"),
    [("2013-12-30T23:00:00Z", "ok"), ("2014-01-01T00:00:00Z", None), (None, "ok")],
)
def test_a_silent_or_unjudged_model_is_stale_with_its_newest_prediction_and_not_green(
    last: str | None, verdict: str | None, api: FakeApi, page: Open, said: Said
) -> None:
    calm_overview(api, last, verdict)
    text = said(page("overview", range="all"))
    assert "1 model version stale" in text
    assert "Nothing needs attention" not in text
    row = text[text.index("Models by status") :].split("</table>")[0]
    told = f"newest prediction {last[:10]}" if last else "no prediction"
    assert "stale</span>" in row
    assert "mw-warn" in row
    assert told in row


def test_a_model_that_was_heard_of_and_judged_is_ok(api: FakeApi, page: Open, said: Said) -> None:
    calm_overview(api, "2013-12-31T12:00:00Z", "ok")
    text = said(page("overview", range="all"))
    assert "Nothing needs attention" in text
    assert "stale" not in text


def test_an_old_newest_prediction_stands_out_only_in_a_range_that_reaches_to_now(
    page: Open, said: Said
) -> None:
    assert 'class="mw-late"' in said(page("drift", range="30d"))
    assert 'class="mw-late"' not in said(page("drift", range="all"))


def test_the_chosen_window_is_the_one_of_the_address(page: Open, said: Said) -> None:
    app = page("drift", range="all", window="2013-09-01 – 2013-09-30", column="wind_speed")
    assert "the data is faulty" in said(app)
    assert "wind_speed over time" in said(app)


def test_the_page_opens_on_the_newest_window_with_trouble_and_says_what_came_after(
    api: FakeApi, page: Open, said: Said
) -> None:
    found: dict[str, Any] = {}

    def mended(query: dict[str, str]) -> tuple[int, object]:
        status, body = drift(query)
        items = sorted(body["items"], key=lambda item: item["window"]["start"])
        for position, item in enumerate(items):
            item["verdict"] = "shift" if position == 4 else "ok"
        items[-1]["verdict"] = "insufficient"
        found["opened"] = items[4]["window"]["start"][:10]
        found["later"] = len(items) - 5
        return status, body

    api.answers["/v1/drift"] = mended
    app = page("drift", range="all")
    [window] = [each.value for each in app.selectbox if each.label == "Window"]
    assert str(window).startswith(found["opened"])
    later = found["later"]
    assert f"{later} newer windows: {later - 1} ok, 1 insufficient." in said(app)


def test_without_trouble_the_page_opens_on_the_newest_window_that_was_judged(
    api: FakeApi, page: Open
) -> None:
    found: dict[str, Any] = {}

    def calm(query: dict[str, str]) -> tuple[int, object]:
        status, body = drift(query)
        items = sorted(body["items"], key=lambda item: item["window"]["start"])
        for item in items:
            item["verdict"] = "ok"
        items[-1]["verdict"] = "insufficient"
        found["opened"] = items[-2]["window"]["start"][:10]
        return status, body

    api.answers["/v1/drift"] = calm
    app = page("drift", range="all")
    [window] = [each.value for each in app.selectbox if each.label == "Window"]
    assert str(window).startswith(found["opened"])


def test_a_column_beyond_its_threshold_without_significance_is_no_shift_and_says_why(
    api: FakeApi, page: Open, said: Said
) -> None:
    def loud(query: dict[str, str]) -> tuple[int, object]:
        status, body = drift(query)
        for item in body["items"]:
            for column in item["columns"]:
                column |= {"verdict": "ok", "score": 0.14, "q": 0.2}
        return status, body

    api.answers["/v1/drift"] = loud
    assert "beyond its threshold, but not significantly" in said(page("drift", range="all"))


def test_a_decision_is_proved_with_all_four_checks_and_labels_what_is_simulated(
    page: Open, said: Said
) -> None:
    app = page("decision", entry="204117")
    assert not app.exception
    text = said(app)
    assert "Proved: entry 204,117 is in the ledger, unchanged" in text
    assert "shown here" not in text
    for check in ("hash", "inclusion", "signature", "retention"):
        assert f"<b>{check}</b>" in text
    moment = text[text.index("OversightRecorded") :][:200]
    assert "simulated" in moment
    assert "2 values hidden from your role" in text


def test_a_failed_check_is_said_first_and_not_green(api: FakeApi, page: Open, said: Said) -> None:
    def broken(_: dict[str, str]) -> tuple[int, object]:
        status, body = trace(7)
        body["verdict"]["inclusion"] = {"state": "failed", "detail": "another root"}
        return status, body

    api.answers["trace"] = broken
    text = said(page("decision", entry="7"))
    assert "Not proved: inclusion failed" in text
    assert 'class="mw-banner mw-bad"' in text


def test_a_missing_check_is_no_proof(api: FakeApi, page: Open, said: Said) -> None:
    def partly(_: dict[str, str]) -> tuple[int, object]:
        status, body = trace(7)
        body["verdict"]["signature"] = {"state": "unchecked", "detail": "no key is pinned"}
        return status, body

    api.answers["trace"] = partly
    text = said(page("decision", entry="7"))
    assert "Not fully checked: signature" in text
    assert 'class="mw-banner mw-none"' in text


def test_a_decision_is_asked_for_once_and_again_only_by_verify_again(
    api: FakeApi, page: Open
) -> None:
    """Each trace is an access on the record: reruns of the page must not add accesses."""
    app = page("decision", entry="204117")
    app.run()
    app.run()
    assert traces(api) == 1
    next(button for button in app.button if button.label == "Verify again").click().run()
    assert traces(api) == 2


def test_an_entry_about_a_decision_says_so_and_shows_what_it_holds_itself(
    api: FakeApi, page: Open, said: Said
) -> None:
    override = {
        "action": "override",
        "reviewer": "supervisor-3",
        "reason": "the aircraft was swapped",
        "final_output": "on time",
    }
    api.answers["trace"] = lambda _: trace(204_117)
    api.answers["/v1/entries/204168"] = lambda _: (200, {"index": 204_168, "body": override})
    app = page("decision", entry="204168")
    app.run()
    assert not app.exception
    text = said(app)
    told = "Entry 204,168 is an OversightRecorded about the decision in entry 204,117, shown here"
    assert text.index(told) < text.index("Proved: entry 204,117")
    moment = text[text.index("<b>OversightRecorded") :].split("</li>")[0]
    for value in ("supervisor-3", "override", "the aircraft was swapped", "on time", "this entry"):
        assert value in moment
    assert "Entry 204,168 as logged" in [each.label for each in app.expander]
    assert "the aircraft was swapped" in app.json[0].value
    assert [path for _, path, _, _ in api.asked].count("/v1/entries/204168") == 1


def traces(api: FakeApi) -> int:
    return sum(path.endswith("/trace") for _, path, _, _ in api.asked)


def test_a_search_is_sent_only_when_asked_and_its_id_stays_out_of_the_address(
    api: FakeApi, page: Open
) -> None:
    app = page("decision", range="all")
    assert not any(path == "/v1/search" for _, path, _, _ in api.asked)
    app.text_input[0].set_value("passenger-7")
    app.selectbox[4].set_value("gate-ewr")
    next(button for button in app.button if button.label == "Search").click().run()
    sent = [query for _, path, query, _ in api.asked if path == "/v1/search"]
    assert len(sent) == 1
    assert sent[0]["producer_id"] == "passenger-7"
    assert sent[0]["integration"] == "gate-ewr"
    assert "passenger-7" not in str(app.query_params)
    assert len(app.dataframe[0].value) == 20


def test_the_newest_decisions_are_listed_by_one_button_and_not_by_themselves(
    api: FakeApi, page: Open, said: Said
) -> None:
    """A list of decisions is an access, recorded under a name: nobody gets one unasked."""
    app = page("decision", range="all", model="late-arrival")
    assert "No decision chosen yet" in said(app)
    assert not any(path == "/v1/search" for _, path, _, _ in api.asked)
    next(button for button in app.button if button.label == "List the newest").click().run()
    [sent] = [query for _, path, query, _ in api.asked if path == "/v1/search"]
    assert (sent["type"], sent["model"]) == ("PredictionLogged", "late-arrival")
    assert len(app.dataframe[0].value) == 20
    assert "No decision chosen yet" not in said(app)


def test_a_closed_case_says_first_how_it_ended_and_why(
    api: FakeApi, page: Open, said: Said
) -> None:
    answer = api.answers["/v1/cases"]

    def closed(query: dict[str, str]) -> tuple[int, object]:
        status, body = answer(query)
        case = body["items"][0]
        case |= {"state": "closed", "outcome": "unproven"}
        measure = {"version": "2", "error": 0.125, "rows": 2607, "windows": []}
        case["verdict"] = {"challenger": measure, "conclusion": "different windows"}
        case["steps"].append({"type": "RetrainingClosed", "reason": "the windows differ"})
        return status, body | {"items": [case]}

    api.answers["/v1/cases"] = closed
    text = said(page("cases"))
    assert text.index("Closed: unproven") < text.index("the windows differ")
    assert "version 2: 0.1250 on 2,607 rows, all windows" in text


def test_a_reference_is_searched_for_by_name_and_value_and_stays_out_of_the_address(
    api: FakeApi, page: Open, said: Said
) -> None:
    app = page("decision", range="all")
    field = {each.label: each for each in app.text_input}
    field["Reference name"].set_value("booking")
    next(button for button in app.button if button.label == "Search").click().run()
    assert "A reference needs both its name and its value" in said(app)
    assert not any(path == "/v1/search" for _, path, _, _ in api.asked)
    field = {each.label: each for each in app.text_input}
    field["Reference value"].set_value("PNR-7")
    next(button for button in app.button if button.label == "Search").click().run()
    [(method, _, sent, _)] = [each for each in api.asked if each[1] == "/v1/search"]
    assert method == "POST"
    assert json.dumps(sent["reference"]) == '{"name": "booking", "value": "PNR-7"}'
    assert "producer_id" not in sent
    assert "PNR-7" not in str(app.query_params)
    assert "booking" not in str(app.query_params)


def test_the_approval_dialog_says_what_follows_and_sends_nothing_by_itself(
    api: FakeApi, page: Open, said: Said
) -> None:
    """The rest of the dialog lives in fragments, which only a browser runs: see tests/e2e."""
    app = page("cases")
    app.button(key="approve").click().run()
    assert "A signed request goes to the retrainer" in said(app)
    assert not any(path.endswith("/approve") for _, path, _, _ in api.asked)


def test_who_may_only_ask_gets_no_approve_button(api: FakeApi, page: Open, said: Said) -> None:
    answer = api.answers["/v1/me"]
    body = answer({})[1] | {"can": {"approve_retraining": "request"}}
    api.answers["/v1/me"] = lambda _: (200, body)
    app = page("cases")
    assert "approve" not in {button.key for button in app.button}
    assert "Approving or rejecting needs a role" in said(app)


def test_simulated_approvals_are_labelled(page: Open, said: Said) -> None:
    text = said(page("cases", case="20130401-case"))
    approved = text[text.index("<b>Approved") :][:200]
    assert "simulated" in approved


def test_the_share_link_pins_the_range_and_keeps_the_filters(page: Open) -> None:
    app = page("latency", range="all", model="late-arrival")
    share = next(code.value for code in app.code if "/latency?" in code.value)
    assert "model=late-arrival" in share
    assert "from=2013-01-01T00%3A00" in share
    assert "to=2014-01-01T01%3A00" in share


def test_filters_show_counts_of_what_they_select_and_never_combine_percentiles(
    api: FakeApi, page: Open
) -> None:
    page("overview", range="all", integration="gate-jfk")
    asked = {path: query for _, path, query, _ in api.asked}
    assert asked["/v1/latency"]["integration"] == "gate-jfk"
    assert asked["/v1/rollups"]["integration"] == "gate-jfk"


def test_text_of_others_is_escaped(api: FakeApi, page: Open, said: Said) -> None:
    def hostile(query: dict[str, str]) -> tuple[int, object]:
        status, body = drift(query)
        body["items"][0]["reason"] = "<img src=x onerror=alert(1)>"
        return status, body

    api.answers["/v1/drift"] = hostile
    text = said(page("drift", range="all"))
    assert "&lt;img src=x" in text
    assert "<img src=x" not in text


def test_two_versions_are_judged_apart_and_the_choice_is_in_the_address(
    api: FakeApi, page: Open, said: Said
) -> None:
    def two(query: dict[str, str]) -> tuple[int, object]:
        status, body = drift(query)
        for item in body["items"][:4]:
            item["model"] = {"name": "late-arrival", "version": "2"}
        return status, body

    api.answers["/v1/drift"] = two
    assert "late-arrival version 2:" in said(page("drift", range="all"))
    assert "late-arrival version 1:" in said(page("drift", range="all", judged="version 1"))
