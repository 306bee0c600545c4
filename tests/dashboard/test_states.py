"""Each page when all is well, when it has nothing to show, when it fails, and when it may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import wording
from tests.dashboard.canned import problem
from tests.dashboard.fake_api import FakeApi

Open = Callable[..., AppTest]
Said = Callable[[AppTest], str]

PAGES = ("overview", "integrations", "drift", "latency", "decision", "lineage", "cases")
# What a page shows when all is well, and the route that it cannot do without.
MAIN = {
    "overview": ("Predictions", "/v1/overview"),
    "drift": ("Columns of this window", "/v1/drift"),
    "latency": ("Error budget left", "/v1/latency"),
    "lineage": ("late-arrival 1", "/v1/lineage"),
    "cases": ("Retraining cases", "/v1/cases"),
    "integrations": ("Integrations by state", "/v1/integrations"),
}


def no_models(api: FakeApi) -> None:
    api.answers["/v1/models"] = lambda _: (200, {"items": [], "next": None})
    api.answers["/v1/log"] = lambda _: (200, {"size": 0})
    api.answers["/v1/overview"] = lambda _: (200, {"predictions": 0, "models": []})
    api.answers["/v1/alerts"] = lambda _: (200, {"items": []})
    api.answers["/v1/cases"] = lambda _: (200, {"items": []})
    api.answers["/v1/integrations"] = lambda _: (200, {"items": []})


@pytest.mark.parametrize("name", MAIN)
def test_a_page_with_data_shows_its_main_panel(name: str, page: Open, said: Said) -> None:
    app = page(name, range="all")
    assert not app.exception
    assert MAIN[name][0] in said(app)
    assert "could not be loaded" not in said(app)


@pytest.mark.parametrize("name", PAGES)
def test_before_the_first_prediction_every_page_shows_how_to_send_one(
    name: str, api: FakeApi, page: Open, said: Said
) -> None:
    no_models(api)
    app = page(name)
    assert not app.exception
    assert "No prediction has arrived yet" in said(app)
    assert f"curl -X POST {api.address}/v1/predictions" in said(app)


@pytest.mark.parametrize("name", ["overview", "latency"])
def test_a_range_without_data_offers_to_widen_it(name: str, page: Open, said: Said) -> None:
    app = page(name, range="1h")
    assert "No data in this range" in said(app)
    app.button(key="widen").click().run()
    assert "No data in this range" not in said(app)
    assert MAIN[name][0] in said(app)


def test_filters_that_match_nothing_offer_to_clear_them(
    api: FakeApi, page: Open, said: Said
) -> None:
    answer = api.answers["/v1/latency"]
    nothing = {"summary": {"count": 0}}
    api.answers["/v1/latency"] = lambda query: (
        (200, nothing) if query.get("version") == "9" else answer(query)
    )
    app = page("latency", range="all", model="late-arrival", version="9")
    assert "No match" in said(app)
    assert "version 9" in said(app)
    app.button(key="clear-filters").click().run()
    assert "No match" not in said(app)
    assert MAIN["latency"][0] in said(app)


def test_a_model_without_a_policy_is_said_to_be_unjudged_and_not_fine(
    page: Open, said: Said
) -> None:
    app = page("drift", range="all", model="turnaround")
    assert "No window has been judged yet" in said(app)
    assert "mw-ok" not in said(app)


@pytest.mark.parametrize("name", MAIN)
def test_a_failing_route_is_a_box_with_a_request_id_and_a_working_retry(
    name: str, api: FakeApi, page: Open, said: Said
) -> None:
    _, route = MAIN[name]
    answer = api.answers[route]
    api.answers[route] = lambda _: problem(503, "Busy", "the store is busy", "Try again soon.")
    app = page(name, range="all")
    assert not app.exception
    for told in ("could not be loaded", "The store is busy.", "Try again soon.", "0b3f9a52"):
        assert told in said(app)
    api.answers[route] = answer
    retry = next(button for button in app.button if button.label == "Retry")
    retry.click().run()
    assert "could not be loaded" not in said(app)
    assert MAIN[name][0] in said(app)


def test_one_failing_panel_leaves_the_others_alive(api: FakeApi, page: Open, said: Said) -> None:
    api.answers["/v1/rollups"] = lambda _: problem(503, "Busy", "the store is busy")
    app = page("overview", range="all")
    assert "Predictions over time could not be loaded" in said(app)
    assert "Models by status" in said(app)


@pytest.mark.parametrize("name", [*MAIN, "decision"])
def test_a_refusal_names_the_role_that_is_needed(
    name: str, api: FakeApi, page: Open, said: Said
) -> None:
    route = "trace" if name == "decision" else MAIN[name][1]
    needed = "search metadata needs the role compliance or audit"
    api.answers[route] = lambda _: problem(403, "Not permitted", needed, "Ask someone.")
    app = page(name, range="all", entry="12")
    assert not app.exception
    assert wording.sentence(needed) in said(app)
    assert "your role may not see this" in said(app)


@pytest.mark.parametrize("name", MAIN)
def test_who_may_see_no_models_gets_one_panel_with_the_roles_and_no_help_to_begin(
    name: str, api: FakeApi, page: Open, said: Said
) -> None:
    needed = "search metadata needs the role ops or compliance"
    for route in ("/v1/models", "/v1/integrations", MAIN[name][1]):
        api.answers[route] = lambda _: problem(403, "Not permitted", needed, "Ask someone.")
    app = page(name, range="all")
    assert not app.exception
    assert said(app).count("your role may not see this") == 1
    assert said(app).count(wording.sentence(needed)) == 1
    assert "No prediction has arrived yet" not in said(app)
    assert "curl" not in said(app)


def test_who_may_see_no_models_may_still_open_a_decision(
    api: FakeApi, page: Open, said: Said
) -> None:
    for route in ("/v1/models", "/v1/integrations"):
        api.answers[route] = lambda _: problem(403, "Not permitted", "needs the role ops")
    app = page("decision", entry="204117")
    assert "Proved" in said(app)
    assert "your role may not see this" not in said(app)


@pytest.mark.parametrize("name", PAGES)
def test_without_a_session_a_page_shows_the_way_in_and_nothing_else(
    name: str, page: Open, said: Said
) -> None:
    app = page(name, token=None)
    assert not app.exception
    assert "paste the code" in said(app)
    assert "late-arrival" not in said(app)


def test_an_api_that_is_down_is_said_so(page: Open, said: Said, api: FakeApi) -> None:
    api.address = "http://127.0.0.1:9"
    app = page("overview")
    assert not app.exception
    assert "The API did not answer" in said(app)


def test_an_answer_of_another_shape_is_a_box_and_no_crash(
    api: FakeApi, page: Open, said: Said
) -> None:
    api.answers["/v1/latency"] = lambda _: (200, {"summary": "none"})
    app = page("latency", range="all")
    assert not app.exception
    assert "does not have the expected shape" in said(app)
