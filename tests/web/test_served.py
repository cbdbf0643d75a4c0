"""The page and the real server together: headers, streams, the engine's death, the window's end."""

import asyncio
import io
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

from creuset.model.formats.hf_config import to_hf
from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve
from creuset.server.settings import ServeSettings
from creuset.testing import tiny_config, tiny_tokenizer

from .acts import answers, ask, write
from .browser import Browser, Page

WORKER = [sys.executable, "-m", "creuset.testing", "{fd}"]


class Real:
    def __init__(self, folder: Path) -> None:
        self.log = io.StringIO()
        self.found: dict[str, Any] = {}
        self.listening = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve(folder)), name="server")
        self.thread.start()
        assert self.listening.wait(30)
        self.url: str = self.found["url"] + "/"

    async def serve(self, folder: Path) -> None:
        await serve(
            [(describe(folder, ["creuset-tiny"]), WORKER)],
            ServeSettings(port=0),
            log=new_log("info", self.log),
            on_listening=self.on_listening,
            on_server=lambda stop: self.found.update(stop=stop),
            client_options={"backoff_s": 0.5},
        )

    def on_listening(self, url: str) -> None:
        self.found["url"] = url.rstrip("/")
        self.listening.set()

    def engine(self) -> psutil.Process:
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return psutil.Process([line["pid"] for line in lines if line.get("state") == "ready"][-1])

    def close(self) -> None:
        self.found["stop"]()
        self.thread.join(10)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("model")
    tiny_tokenizer().save(folder)
    (folder / "config.json").write_text(json.dumps(to_hf(tiny_config(context=4096))))
    (folder / "card.md").write_text("# creuset-tiny\n\nA card for the tests.\n")
    server = Real(folder)
    yield server
    server.close()


@pytest.fixture
def page(browser: Browser, real: Real) -> Iterator[Page]:
    page = browser.page(real.url)  # one server for all: each test needs a storage of its own
    page.wait("$('.model').innerText.includes('creuset-tiny')")
    yield page
    page.close()
    assert [url for url in page.requests if not url.startswith((real.url, "data:"))] == []
    assert page.complaints == []


def test_the_server_sends_the_page_with_a_strict_policy(real: Real) -> None:
    with urlopen(real.url) as answer:
        policy = answer.headers["content-security-policy"]
        assert '<div id="root">' in answer.read().decode()
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "style-src 'self'" in policy
    assert "unsafe" not in policy and "http:" not in policy and "https:" not in policy


def test_a_conversation_with_the_real_server(page: Page) -> None:
    assert ask(page, "hello") == "Hello from the script."
    ask(page, "say A **bold** word and $x^2$.")
    page.wait("$('.md strong') && $('.katex-html')")
    assert "tokens" in page.text(".figures")
    page.click(".model")
    page.wait("$('dialog')?.innerText.includes('A card for the tests.')")


def test_stopping_frees_the_engine(page: Page) -> None:
    write(page, "slowly 500")
    page.wait("($('.answered .md')?.innerText ?? '').length > 20")
    page.press("Escape")
    page.wait("!$('[aria-busy=true]')")
    assert ask(page, "hello") == "Hello from the script."


def test_the_engine_dies_and_comes_back(page: Page, real: Real) -> None:
    write(page, "slowly 500")
    page.wait("($('.answered .md')?.innerText ?? '').length > 20")
    real.engine().kill()
    page.wait("$('.trouble')")
    assert answers(page)[0].startswith("la la"), "what was written stays"
    page.wait("fetch('/health').then(answer => answer.ok)")
    page.click(".trouble .button", "Try again")
    page.wait("$('[aria-busy=true] .md')?.innerText.startsWith('la la')")
    page.press("Escape")


def test_settings_that_the_page_sends_are_taken(page: Page) -> None:
    page.click(".bottom", "Settings")
    for field, value in (("Temperature", "0.3"), ("Top-p", "0.9"), ("Longest answer", "3"), ("Seed", "7")):
        page.js(f"$$('dialog label').find(e => e.textContent.startsWith({json.dumps(field)})).control.focus()")
        page.type(value)
    page.press("Escape")
    page.wait("!$('dialog')")
    ask(page, "slowly 50")
    assert page.text(".figures").startswith("3 tokens")
    assert "The answer reached its length limit." in page.text(".answered")


def test_a_conversation_longer_than_the_window_goes_on(page: Page) -> None:
    long = "the cat " * 700  # 1,400 tokens; the window has 4,096
    ask(page, f"say {long}")
    write(page, f"say {long}")
    page.click(".trouble .button", "Continue without the oldest messages")
    page.wait("$('.note')?.innerText === '2 older messages were left out to fit.'")
    page.wait("!$('[aria-busy=true]') && !$('.trouble')")
