"""Every page in light, in dark and at 390 px: clean, quiet, accessible, and kept as a picture."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, StorageState

from tests.e2e.conftest import ACTOR, SCREENSHOTS, System, Watched, context_of, watched

pytestmark = pytest.mark.browser

PAGES = {
    "overview": ("?range=all", "Models by status"),
    "drift": ("drift?range=all", "Columns of this window"),
    "latency": ("latency?range=all&slo_ms=40", "Error budget left"),
    "decision": ("decision?entry=40", "Proved"),
    "lineage": ("lineage", "Edges"),
    "cases": ("cases", "Retraining cases"),
    "integrations": ("integrations?integration=web-shop", "Integrations by state"),
}
# Findings of Streamlit's own markup that no page can change, by rule, each with its reason.
STREAMLITS_OWN: dict[str, str] = {}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_clean(name: str, visit: tuple[str, Watched]) -> None:
    mode, person = visit
    path, expected = PAGES[name]
    person.said.clear()
    person.outside.clear()
    person.open(path)
    page = person.page
    page.get_by_text(expected).first.wait_for(state="attached")
    person.settle()
    picture(person, f"{name}-{mode}")
    assert page.locator("[data-testid=stException]").count() == 0
    assert "could not be loaded" not in person.text()
    assert person.said == []
    assert person.outside == []
    size = page.viewport_size
    assert size is not None
    widths = page.evaluate(
        "() => [document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".map(element => element.scrollWidth)"
    )
    assert max(widths) <= size["width"]
    assert serious(person) == []


def serious(person: Watched) -> list[str]:
    """Rule, place and advice of each serious or critical finding."""
    found: list[dict[str, Any]] = Axe().run(person.page).response["violations"]
    return [
        f"{finding['id']}: {node['target']} {node['failureSummary'][:200]}"
        for finding in found
        if finding["impact"] in {"serious", "critical"} and finding["id"] not in STREAMLITS_OWN
        for node in finding["nodes"]
    ]


def picture(person: Watched, name: str) -> None:
    """The whole page, not only what the window shows."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page = person.page
    size = page.viewport_size
    assert size is not None
    tall = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": min(4000, max(900, tall + 60))})
    page.wait_for_timeout(400)  # charts follow the size of the window a moment later
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    page.set_viewport_size(size)


@pytest.mark.parametrize("opener", ["Approve…", ACTOR, "Share", "2026-03-02"])
def test_what_opens_above_a_page_is_readable_in_the_dark(
    opener: str, browser: Browser, session: StorageState, system: System
) -> None:
    """Dialogs and popovers live outside the page's own element, and need their colours too."""
    with context_of(browser, "dark", session) as context:
        person = watched(context, system.pages)
        person.open("cases")
        person.page.get_by_role("button", name=opener).click()
        person.page.locator("[role=dialog], [data-testid=stPopoverBody]").first.wait_for()
        person.settle()
        person.page.wait_for_timeout(400)  # it fades in
        assert serious(person) == []
        if opener == "Approve…":
            person.page.screenshot(path=SCREENSHOTS / "approve-dark.png")


def test_the_sign_in_page_is_clean(stranger: Watched, system: System) -> None:
    stranger.page.goto(f"{system.pages}/signin")
    stranger.page.get_by_label("One-time code").wait_for()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    stranger.page.screenshot(path=SCREENSHOTS / "signin.png")
    assert stranger.said == []
    assert stranger.outside == []
    assert serious(stranger) == []
