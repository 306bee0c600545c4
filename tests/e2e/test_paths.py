"""Ways through the pages: in and out, by address, to a proof, to a decision that is recorded."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import ACTOR, SCREENSHOTS, System, Watched

pytestmark = pytest.mark.browser


def test_a_one_time_code_signs_in_once_with_a_cookie_that_no_script_reads(
    stranger: Watched, system: System
) -> None:
    page = stranger.page
    stranger.open("")
    assert "paste the code" in stranger.text()
    assert "risk" not in stranger.text()
    code = system.code()
    page.goto(f"{system.pages}/signin?code={code}")
    stranger.settle()
    page.get_by_role("heading", name="Overview").wait_for()
    assert "code=" not in page.url
    name = f"modelwitness_session_{urlsplit(system.pages).port}"
    [cookie] = [each for each in page.context.cookies() if each["name"] == name]
    assert cookie["httpOnly"] is True
    assert cookie["sameSite"] == "Strict"
    assert name not in page.evaluate("() => document.cookie")
    page.get_by_role("button", name=ACTOR).click()
    page.get_by_role("link", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()
    # Whoever had copied the cookie is out too.
    bearer = {"Authorization": f"Bearer {cookie['value']}"}
    assert page.request.get(f"{system.api}/v1/me", headers=bearer).status == 401
    stranger.open("")
    assert "paste the code" in stranger.text()
    page.goto(f"{system.pages}/signin?code={code}")
    page.get_by_text("unknown, used or older").wait_for()


def test_an_address_restores_the_view(person: Watched) -> None:
    person.open("drift?range=all&model=risk&window=2026-03-09+–+2026-03-15&column=region")
    text = person.text()
    assert "region over time" in text
    assert "no column moved beyond its threshold" in text
    expect(person.page.get_by_role("combobox", name=re.compile("Model"))).to_have_value("risk")


def test_a_filter_becomes_part_of_the_address_and_follows_to_the_next_page(
    person: Watched,
) -> None:
    page = person.page
    person.open("latency?range=all")
    page.get_by_role("combobox", name=re.compile("Integration")).click()
    page.get_by_role("option", name="web-shop").click()
    expect(page).to_have_url(re.compile("integration=web-shop"))
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("heading", name="Overview").wait_for()
    expect(page).to_have_url(re.compile("integration=web-shop"))


def test_filters_of_an_address_follow_to_the_next_page_and_the_one_after(person: Watched) -> None:
    page = person.page
    person.open("?range=all&model=risk&integration=web-shop")
    for name in ("Drift", "Latency"):
        page.get_by_role("link", name=name, exact=True).click()
        page.get_by_role("heading", name=name).first.wait_for()
        for part in ("range=all", "model=risk", "integration=web-shop"):
            expect(page).to_have_url(re.compile(part))
        person.settle()
        model = page.get_by_role("combobox", name=re.compile("Model"))
        expect(model).to_have_value("risk")


def test_the_newest_decisions_are_listed_when_asked_for(person: Watched) -> None:
    page = person.page
    person.open("decision?range=all")
    page.get_by_role("button", name="List the newest").click()
    page.get_by_text("page 1, 50 entries").wait_for()
    expect(page.get_by_role("button", name="List the newest")).to_have_count(0)
    person.settle()
    page.screenshot(path=SCREENSHOTS / "newest.png")


def test_the_share_link_shows_the_same_to_someone_else(person: Watched) -> None:
    page = person.page
    person.open("latency?range=all&model=risk")
    shown = page.locator(".mw-figures").inner_text()
    page.get_by_role("button", name="Share").click()
    link = page.get_by_text(re.compile(r"/latency\?")).inner_text()
    assert {"from", "to", "model"} <= parse_qs(urlsplit(link).query).keys()
    page.goto(link)
    person.settle()
    assert page.locator(".mw-figures").inner_text() == shown


def test_an_empty_range_is_widened_by_its_button(person: Watched) -> None:
    page = person.page
    person.open("?range=1h")
    assert "No data in this range" in person.text()
    page.screenshot(path=SCREENSHOTS / "empty-range.png")
    page.get_by_role("button", name="Show all data").click()
    page.get_by_text("Models by status").wait_for(state="attached")
    expect(page).to_have_url(re.compile("range=all"))


def test_a_search_leads_to_a_decision_with_its_proof_and_to_who_looked(
    person: Watched, system: System
) -> None:
    page = person.page
    person.open("decision?range=all")
    page.get_by_role("textbox", name="Producer's id").fill("loan-0")
    page.get_by_role("combobox", name="Integration").last.click()
    page.get_by_role("option", name="branch-app").click()
    page.get_by_role("button", name="Search").click()
    page.get_by_text("page 1, 1 entries").wait_for()
    # The grid is drawn: its first row's box is at this place, below a layer that takes the click.
    page.get_by_test_id("stDataFrame").first.click(position={"x": 14, "y": 54}, force=True)
    page.get_by_role("heading", name="Proved").wait_for()
    page.get_by_text("OversightRecorded").first.wait_for()
    text = person.text()
    assert "OversightRecorded" in text
    assert "simulated" in text
    page.get_by_role("tab", name="Proof").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Proof (.tlog-proof)").click()
    proof = download.value.path().read_text()
    assert proof.startswith("c2sp.org/tlog-proof@v1")
    page.get_by_role("tab", name="Who looked").click()
    page.get_by_role("cell", name=ACTOR).first.wait_for()


def test_the_report_runs_in_a_sandbox_that_knows_nothing(person: Watched) -> None:
    page = person.page
    seen: list[str] = []
    page.on("framenavigated", lambda each: seen.append(urlsplit(each.url).path))
    person.open("drift?range=all&report=true")
    page.locator("iframe").scroll_into_view_if_needed()
    frame = page.frame_locator("iframe")
    frame.get_by_text(re.compile("Drift in column")).first.wait_for(timeout=60_000)
    [inside] = [each for each in page.frames if "/report/" in each.url]
    waited, drawn = [each for each in seen if each.startswith("/report/")]
    assert drawn == f"{waited}/drawn"  # said to be coming first, then there
    assert inside.evaluate("() => window.origin") == "null"
    assert inside.evaluate("() => { try { return document.cookie } catch { return 'no' } }") == "no"
    assert person.outside == []


def test_approving_takes_a_reason_and_is_recorded_under_the_persons_name(
    person: Watched, system: System
) -> None:
    page = person.page
    person.open("cases")
    page.get_by_role("button", name="Approve…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Approve retraining").click()
    dialog.get_by_text("A reason is required").wait_for()
    [case] = system.ask("/v1/cases")["items"]
    assert case["state"] == "proposed"
    page.screenshot(path=SCREENSHOTS / "approve.png")
    dialog.get_by_label("Reason").fill("The amounts really changed.")
    dialog.get_by_role("button", name="Approve retraining").click()
    expect(dialog).to_be_hidden()
    page.get_by_text("The amounts really changed.").wait_for()
    [case] = system.ask("/v1/cases")["items"]
    assert case["state"] == "approved"
    assert case["approver"] == ACTOR
    assert case["steps"][-1]["reason"] == "The amounts really changed."


def test_an_integration_is_found_with_what_is_missing_and_what_was_refused(
    person: Watched, system: System
) -> None:
    page = person.page
    person.open("integrations")
    page.get_by_role("heading", name="crm").wait_for()  # the worst of them comes first
    assert "Nothing since it was declared; declared cadence: 1 s." in person.text()
    page.get_by_role("link", name="web-shop").click()
    page.get_by_role("heading", name="web-shop").wait_for()
    expect(page).to_have_url(re.compile("integration=web-shop"))
    person.settle()
    text = person.text()
    assert "2 numbers missing" in text
    assert "3 – 4" in text
    assert "1 report of 1 differ" in text
    page.get_by_role("tab", name="OpenTelemetry").click()
    page.get_by_text(f"OTEL_EXPORTER_OTLP_ENDPOINT={system.api}").wait_for()


def test_a_refusal_is_replayed_in_vain_and_discarded_with_a_reason(
    person: Watched, system: System
) -> None:
    page = person.page
    person.open("integrations?integration=web-shop")
    [kept] = system.ask("/v1/quarantine")["items"]
    page.get_by_role("button", name="Replay").click()
    page.get_by_text("2 items refused again").wait_for()
    assert system.ask("/v1/quarantine")["items"] == [kept]
    page.get_by_role("button", name="Discard…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("This cannot be taken back").wait_for()
    page.screenshot(path=SCREENSHOTS / "discard.png")
    dialog.get_by_label("Reason").fill("A test of the kiosk.")
    dialog.get_by_role("button", name="Discard for good").click()
    page.get_by_text("Nothing of web-shop is kept").wait_for()
    assert system.ask("/v1/quarantine")["items"] == []


def test_a_silent_integration_stands_among_the_alerts_of_its_owner(person: Watched) -> None:
    page = person.page
    person.open("cases")
    row = page.get_by_role("row").filter(has_text="silence")
    expect(row).to_contain_text("sales-ops")
    row.get_by_role("link", name="crm").click()
    page.get_by_role("heading", name="crm").wait_for()


def test_a_foreign_host_name_is_refused(system: System, stranger: Watched) -> None:
    answer = stranger.page.request.get(system.pages, headers={"Host": "evil.example"})
    assert answer.status == 400
