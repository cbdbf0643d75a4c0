"""When things go wrong the page says so in plain words, loses nothing, and offers the way on."""

import json

from .acts import answers, ask, said, write
from .browser import Browser, Page
from .conftest import Served


def trouble(page: Page) -> str:
    return str(page.wait("$('.trouble')?.innerText"))


def test_an_engine_that_restarts_is_said_and_tried_again(page: Page, served: Served) -> None:
    served.script.broken = 1
    write(page, "hello")
    assert trouble(page).startswith("The engine is starting or restarting.")
    page.click(".trouble .button", "Try again")
    page.wait("$('.answered .md')?.innerText === 'Answer 2 to: hello'")
    assert page.count(".trouble") == 0 and page.count(".pager") == 0, "a failure is not a version"


def test_too_many_requests_wait_as_long_as_the_server_asks(page: Page) -> None:
    write(page, "busy now")
    assert "Try again in 1 s" in trouble(page)
    page.click(".trouble .button", "Try again")
    page.wait("$('.answered .md')?.innerText === 'Answer 2 to: busy now'")


def test_a_stream_that_breaks_keeps_its_text(page: Page) -> None:
    write(page, "break this please, in the middle of it")
    assert "The engine stopped." in trouble(page)
    assert answers(page)[0].startswith("Answer 1 to")
    page.reload()
    page.wait("$('.answered .md')?.innerText")
    assert answers(page)[0].startswith("Answer 1 to")


def test_a_length_limit_is_said(page: Page) -> None:
    ask(page, "long")
    assert "The answer reached its length limit." in page.text(".answered")


def test_an_answer_of_nothing_is_said(page: Page) -> None:
    ask(page, "empty")
    assert "The model answered with nothing." in page.text(".answered")


def test_a_conversation_that_no_longer_fits_goes_on_without_its_oldest_turns(page: Page, served: Served) -> None:
    ask(page, "one")
    ask(page, "two")
    ask(page, "three")
    served.script.limit = 3
    write(page, "four")
    assert "longer than the model can read" in trouble(page)
    page.click(".trouble .button", "Continue without the oldest messages")
    page.wait("$$('.answered .md').at(-1)?.innerText.endsWith('to: four')")
    assert page.text(".note") == "4 older messages were left out to fit."
    assert served.script.asked[-1]["messages"][0]["content"] == "three"
    assert said(page) == ["one", "two", "three", "four"], "nothing was deleted"
    assert ask(page, "five").endswith("to: five"), "agreed once, it goes on"


def test_a_single_message_that_is_too_long_is_said_to_be(page: Page, served: Served) -> None:
    served.script.limit = -1
    write(page, "far too long")
    assert trouble(page).startswith("This message alone is longer")
    assert "Continue without" not in page.text(".trouble")


def test_a_key_is_asked_for_sent_and_kept_in_the_tab_only(browser: Browser, served: Served) -> None:
    served.script.key = "sk-secret-17"
    page = browser.page(served.url)
    write(page, "hello")
    assert "API key" in trouble(page)
    page.js("$('.trouble input').focus()")
    page.type("sk-secret-17")
    page.press("Enter")
    page.wait("$('.answered .md')?.innerText === 'Answer 1 to: hello'")
    assert served.script.keys == ["Bearer sk-secret-17"]
    page.wait("$('.model').innerText.includes('creuset-test')", "the model is known once the key is")
    assert page.js("sessionStorage.getItem('creuset.key')") == "sk-secret-17"
    kept = page.js("""new Promise(done => { const open = indexedDB.open('creuset', 1); open.onsuccess = () => {
        const all = open.result.transaction('conversations').objectStore('conversations').getAll();
        all.onsuccess = () => { open.result.close(); done(JSON.stringify([all.result, {...localStorage}])) } } })""")
    assert "hello" in kept and "sk-secret" not in kept
    page.close()


def test_a_banner_tells_that_the_engine_is_not_ready_and_goes_when_it_is(browser: Browser, served: Served) -> None:
    served.script.healthy = False
    page = browser.page(served.url)
    page.wait("$('.banner')?.innerText.startsWith('The engine is starting')")
    served.script.healthy = True
    page.wait("!$('.banner')")
    page.wait("$('.model').innerText.includes('creuset-test')")
    page.close()


def test_a_server_that_is_gone_is_said(browser: Browser, served: Served) -> None:
    page = browser.page(served.url)
    page.wait("$('.model').innerText.includes('creuset-test')")
    page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    write(page, "hello")
    assert trouble(page).startswith("The server cannot be reached.")
    page.wait("$('.banner')")
    page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    page.click(".trouble .button", "Try again")
    page.wait("$('.answered .md')?.innerText.endsWith('to: hello')")
    page.close()


def test_settings_are_sent_and_empty_ones_are_not(page: Page, served: Served) -> None:
    ask(page, "hello")
    assert set(served.script.asked[0]) == {"model", "messages", "stream", "stream_options"}
    page.click(".bottom", "Settings")
    for field, value in (
        ("Instructions", "Be brief."),
        ("Temperature", "0.3"),
        ("Top-p", "0.9"),
        ("Longest answer", "64"),
        ("Seed", "7"),
    ):
        page.js(f"$$('dialog label').find(e => e.textContent.startsWith({json.dumps(field)})).control.focus()")
        page.type(value)
    page.press("Escape")
    page.wait("!$('dialog')")
    ask(page, "again")
    body = served.script.asked[1]
    assert (body["temperature"], body["top_p"], body["max_tokens"], body["seed"]) == (0.3, 0.9, 64, 7)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_model_that_states_no_sampling_gets_a_temperature_to_chat_with(page: Page, served: Served) -> None:
    served.script.sampling = {}
    page.reload()
    page.wait("$('.model:not([disabled])')")
    ask(page, "hello")
    assert served.script.asked[0]["temperature"] == 0.7 and "top_p" not in served.script.asked[0]
    page.click(".bottom", "Settings")
    assert page.js("$$('dialog label').find(e => e.textContent.startsWith('Temperature')).control.placeholder") == "0.7"


def test_two_windows_show_the_same_conversations(browser: Browser, served: Served) -> None:
    first = browser.page(served.url)
    second = browser.page(served.url, context=first.context)
    ask(first, "seen in both")
    second.wait("$('.list .pick')?.innerText === 'seen in both'")
    first.close()
