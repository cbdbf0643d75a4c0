"""Several models on the page: which is asked, how it is chosen, what is said while it is loaded."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from creuset.model.formats.hf_config import to_hf
from creuset.server.engines.upstream import UpstreamSettings
from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve
from creuset.server.settings import ServeSettings
from creuset.testing import tiny_config, tiny_tokenizer

from .acts import ask, write
from .browser import Browser, Page
from .test_served import WORKER


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of two models, none loaded, and one of another server that nobody reaches."""
    folder = tmp_path_factory.mktemp("model")
    tiny_tokenizer().save(folder)
    (folder / "config.json").write_text(json.dumps(to_hf(tiny_config(context=4096))))
    (folder / "card.md").write_text("---\nlicense: apache-2.0\n---\n# A card\n")
    found: dict[str, Any] = {}
    listening = threading.Event()

    def on_listening(url: str) -> None:
        found["url"] = url
        listening.set()

    work = serve(
        [(describe(folder, ["first", "second-name"]), WORKER), (describe(folder, ["other"]), WORKER)],
        ServeSettings(port=0),
        log=new_log("error", io.StringIO()),
        on_listening=on_listening,
        on_server=lambda stop: found.update(stop=stop),
        upstreams=[UpstreamSettings(url="http://127.0.0.1:9", model="theirs", names=("far",))],
    )
    thread = threading.Thread(target=lambda: asyncio.run(work), name="server")
    thread.start()
    assert listening.wait(30)
    yield found["url"] + "/"
    found["stop"]()
    thread.join(10)


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    page = browser.page(url)
    page.wait("$('.model').innerText.includes('first')")
    yield page
    page.close()
    assert [request for request in page.requests if not request.startswith((url, "data:"))] == []


def names(page: Page) -> list[str]:
    found = page.js("$$('.models label').map(e => e.querySelector('strong').innerText)")
    assert isinstance(found, list)
    return found


def states(page: Page) -> list[str]:
    found = page.js("$$('.models .state').map(e => e.innerText)")
    assert isinstance(found, list)
    return found


def test_a_model_is_chosen_by_keyboard_kept_and_asked(page: Page, url: str) -> None:
    page.click(".model")
    page.wait("$('dialog .models')")
    assert names(page) == ["first", "other", "far"], "second names are no models"
    assert page.js("document.activeElement.value") == "first", "the chosen one has the focus"
    page.wait("$$('.models .state')[2].innerText === 'out of reach'")
    assert states(page)[:2] == ["loaded when asked", "loaded when asked"]
    page.press("ArrowDown")
    page.wait("$('.picked').innerText === 'other' && $('dialog').innerText.includes('apache-2.0')")
    page.press("Escape")
    page.wait("!$('dialog') && $('.model').innerText.includes('other')")
    assert ask(page, "say hi") == "hi" and page.text(".answered .who").strip() == "other"
    page.click(".model")
    page.wait("$('dialog .models') && $$('.models .state')[1].innerText === 'loaded'")
    page.press("ArrowUp")
    page.press("Escape")
    page.wait("!$('dialog') && $('.model').innerText.includes('first')")
    assert page.text(".answered .who").strip() == "other", "an answer keeps the name of who gave it"
    page.click(".model")
    page.wait("$('dialog .models')")
    page.press("ArrowDown")
    page.press("Escape")
    page.open(url)
    page.wait("$('.model').innerText.includes('other')", "the choice, after a reload")


def test_a_model_out_of_reach_says_so_and_whose_it_is(page: Page) -> None:
    page.click(".model")
    page.wait("$('dialog .models')")
    page.press("ArrowUp")  # from the first to the last
    page.wait("$('.picked').innerText === 'far' && $('dialog').innerText.includes('where it is called theirs')")
    page.press("Escape")
    page.wait("$('.banner')?.innerText === 'The server that answers for far is out of reach.'")
    page.wait("$('main').innerText.includes('on another server: what you write is sent there')")
    write(page, "hello")
    page.wait("$('.trouble')")
    page.complaints.clear()  # the browser's own line about a 503


def test_the_list_fits_a_narrow_window(browser: Browser, url: str) -> None:
    page = browser.page(url, width=320, height=640)
    page.wait("$('.model').innerText.includes('first')")
    page.click(".model")
    page.wait("$('dialog .models')")
    assert page.js("document.documentElement.scrollWidth <= innerWidth && $('dialog').scrollWidth <= innerWidth")
    assert page.js("$$('.models label').every(e => e.getBoundingClientRect().right <= innerWidth)")
    page.close()
