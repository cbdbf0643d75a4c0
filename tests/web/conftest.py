import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from .browser import Browser, Page, find
from .server import Script, start

MISSING = (
    "Chromium is not installed, and the page is tested in it: `apt-get install chromium-headless-shell` (or "
    "chromium), or give its path in CHROMIUM. Set CREUSET_NO_BROWSER=1 to leave these tests out."
)


@pytest.fixture(scope="session")
def chromium() -> str:
    if os.environ.get("CREUSET_NO_BROWSER") == "1":
        pytest.skip("CREUSET_NO_BROWSER=1: the page is not tested in a browser")
    path = find()
    if path is None:
        pytest.fail(MISSING, pytrace=False)
    return path


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    browser = Browser(chromium)
    yield browser
    browser.close()


@dataclass
class Served:
    url: str
    script: Script


@pytest.fixture
def served() -> Iterator[Served]:
    server, script = start()
    yield Served(f"http://127.0.0.1:{server.server_address[1]}/", script)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def window(browser: Browser) -> Page:
    return browser.page("about:blank")


@pytest.fixture
def page(window: Page, served: Served) -> Iterator[Page]:
    """The page, freshly open. Whatever the test did, it asked nothing of another host and complained of nothing."""
    page = window
    page.renew(served.url)
    yield page
    page.call("Page.navigate", url="about:blank")
    outside = [url for url in page.requests if not url.startswith((served.url, "data:", "blob:"))]
    assert outside == []
    assert page.complaints == []
