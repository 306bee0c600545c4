"""The stand-in API for the pages' states, and pages run without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.canned import TOKEN
from tests.dashboard.fake_api import FakeApi

Open = Callable[..., AppTest]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """An API whose answers the test may change."""
    with FakeApi() as fake:
        yield fake


def _script(address: str, token: str | None, home: str) -> None:
    # Streamlit runs the text of this function alone: it brings its own import.
    from dashboard.shell import show

    show(address, token, home=home)


@pytest.fixture
def page(api: FakeApi) -> Open:
    """`page("drift", range="all")` runs that page as a signed-in person over the stand-in API."""

    def open_page(home: str, token: str | None = TOKEN, **params: str) -> AppTest:
        app = AppTest.from_function(_script, args=(api.address, token, home), default_timeout=20)
        app.query_params.update(params)
        return app.run()

    return open_page


@pytest.fixture
def said() -> Callable[[AppTest], str]:
    """Everything that a page says, HTML and native elements, as one text."""

    def text(app: AppTest) -> str:
        bodies = [element.proto.body for element in app.get("html")]
        parts = [body for body in bodies if not body.startswith("<style")]
        parts += [element.value for element in (*app.caption, *app.markdown, *app.code)]
        return "\n".join(parts)

    return text
