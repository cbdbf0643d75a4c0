"""The page of administration in Chromium, before a real server with a directory and somebody who has used it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from creuset.server.tenants.directory.keys import issue
from creuset.server.tenants.directory.people import update_user
from creuset.server.tenants.signon.passwords import encoded
from tests.server.conftest import NAME, Running, scripted_folder, start
from tests.server.tenants.conftest import House, build
from tests.web.browser import Browser, Page
from tests.web.conftest import browser, chromium

__all__ = ["browser", "chromium"]
PASSWORD = "a long password of ann"


@dataclass
class Admin:
    server: Running
    house: House
    page: Page

    def open(self, part: str, *, ready: str = "true") -> None:
        self.page.js(f"location.hash = '#{part}'")
        self.page.wait(f"$('#main').dataset.part === '{part}' && {ready}")

    def text(self) -> str:
        return str(self.page.js("$('#main').innerText"))

    def sign_on(self) -> None:
        self.page.call("Page.navigate", url=f"{self.server.url}/admin")
        self.page.wait(f"location.href.startsWith('{self.server.url}')")
        self.page.wait("$('form.sign input[name=password]') || $('#tabs a')")
        if self.page.js("!!$('form.sign')"):
            self.fill("form.sign", email="ann@example.org", password=PASSWORD)
        self.page.wait("$('#main').dataset.part")

    def fill(self, form: str, **values: str) -> None:
        """As a person does: each field gets its value, and the form is sent by its button."""
        for name, value in values.items():
            self.page.js(f"$('{form} [name={name}]').value = {value!r}")
        self.page.js(f"$('{form} button[type=submit]').click()")


@pytest.fixture(scope="module")
def admin(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admin]:
    import time

    place: Path = tmp_path_factory.mktemp("console")
    (place / "model").mkdir()
    house = build(place / "server.db", time.time, [])
    house.do(update_user, house.a, house.ann, password=encoded(PASSWORD))
    key = house.do(issue, house.a, "laptop", project=house.project, user=house.bob)[1]
    server = start(scripted_folder(place / "model"), people=house.directory, journal=place / "usage")
    with httpx.Client(base_url=server.url, headers={"x-api-key": key}, timeout=20, trust_env=False) as bob:
        for text in ("say one two three", "refuse"):
            bob.post("/v1/chat/completions", json={"model": NAME, "messages": [{"role": "user", "content": text}]})
    time.sleep(0.2)  # until the database has it
    page = browser.page("about:blank")
    yield Admin(server, house, page)
    page.call("Page.navigate", url="about:blank")
    server.close()
    house.directory.database.close()
