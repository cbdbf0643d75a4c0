"""What servers send and people do that a page easily forgets: thoughts, silence, composed characters, refused storage,
paper, other directions of writing."""

import json

from .acts import ask, keep, label, write
from .browser import Browser, Page
from .conftest import Served

FAST = """const later = window.setTimeout;
    window.setTimeout = (what, time, ...rest) => later(what, time >= 20000 ? time / 100 : time, ...rest);"""
REFUSED = """for (const name of ['sessionStorage', 'localStorage', 'indexedDB'])
    Object.defineProperty(window, name, {get() { throw new DOMException('refused', 'SecurityError') }});"""


def test_thoughts_and_tool_calls_are_shown_and_kept(page: Page, served: Served) -> None:
    ask(page, "tools")
    assert "weather" in page.text(".call figcaption") and '"town": "Lyon"' in page.text(".call pre")
    assert "answered with nothing" not in page.text(".answered")
    page.reload()
    page.wait("$('.call pre')?.innerText.includes('Lyon')")
    page.click(".thought-fold")
    page.wait("$('.thought strong')?.innerText === 'weather'")
    assert page.text(".thought .md") == "The person wants the weather."
    ask(page, "and now?")
    assert [m["role"] for m in served.script.asked[-1]["messages"]] == ["user", "user"], "no call without its result"


def test_an_answer_keeps_who_gave_it_and_with_which_settings(page: Page) -> None:
    page.wait("$('.model').innerText.includes('3f9a1c07')")
    page.click(".bottom", "Settings")
    for field, value in (("Instructions", "Be brief."), ("Temperature", "0.3"), ("Seed", "7")):
        page.js(f"$$('dialog label').find(e => e.textContent.startsWith({json.dumps(field)})).control.focus()")
        page.type(value)
    page.press("Escape")
    page.wait("!$('dialog')")
    ask(page, "hello")
    page.reload()
    page.wait("$('.answered')")
    label(page, "About this answer")
    told = page.wait("$('dialog .facts')?.innerText")
    for part in ("creuset-test", "3f9a1c07" * 8, "fp_3f9a1c073f", "0.3", "7", "Be brief.", "model’s own", "9"):
        assert part in told
    page.press("Escape")
    page.wait("!$('dialog')")


def test_a_composed_character_neither_sends_nor_stops(page: Page, served: Served) -> None:
    """Safari tells of the Enter that ends a composition after its end; only the number 229 marks it."""
    safari = "{key: '%s', keyCode: 229, bubbles: true, cancelable: true}"
    page.js("$('#message').focus()")
    page.type("日本")
    page.js(f"$('#message').dispatchEvent(new KeyboardEvent('keydown', {safari % 'Enter'}))")
    assert page.js("$('#message').value") == "日本" and served.script.asked == []
    page.press("Enter")
    page.wait("$('.answered') && !$('[aria-busy=true]')")
    write(page, "slow 60")
    page.wait("$$('.answered .md')[1]?.innerText.includes('word2')")
    for event in (safari % "Escape", "{key: 'Escape', isComposing: true, bubbles: true}"):
        page.js(f"$('#message').dispatchEvent(new KeyboardEvent('keydown', {event}))")
    page.wait("!$('[aria-busy=true]')")
    assert page.text(".answered:last-child .md").endswith("word59")


def test_a_silent_stream_is_said_and_given_up_with_its_text(browser: Browser, served: Served) -> None:
    page = browser.page("about:blank")
    page.call("Page.addScriptToEvaluateOnNewDocument", source=FAST)
    page.open(served.url)
    write(page, "silence")
    page.wait("$('.note')?.innerText.includes('Nothing has come from the server')")
    assert page.count("[aria-busy=true]") == 1
    page.wait("$('.trouble')?.innerText.includes('said nothing for two minutes')")
    assert page.text(".answered .md") == "It begins" and page.count(".note") == 0
    served.script.heard.set()
    page.close()


def test_a_browser_that_refuses_storage_is_said_to_and_talks_all_the_same(browser: Browser, served: Served) -> None:
    page = browser.page("about:blank")
    page.call("Page.addScriptToEvaluateOnNewDocument", source=REFUSED)
    served.script.key = "sk-secret-17"
    page.open(served.url)
    page.wait("$('.banner')?.innerText.includes('does not let the page keep anything')")
    write(page, "hello")
    assert "API key" in page.wait("$('.trouble')?.innerText")
    page.js("$('.trouble input').focus()")
    page.type("sk-secret-17")
    page.press("Enter")
    page.wait("$('.answered .md')?.innerText === 'Answer 1 to: hello'")
    assert served.script.keys[-1] == "Bearer sk-secret-17"
    assert "reached" not in page.text()
    assert page.complaints == []
    page.close()


def test_plain_tags_and_every_direction_of_writing(page: Page) -> None:
    ask(
        page,
        "say H<sub>2</sub>O and x<SUP>*2*</SUP><br>next <sub class=x>no</sub> <sub>open <b>bold</b>\n\n"
        "| a | b |\n|---|---|\n| one<br/>two | c |\n\n<br>\n\n"
        "مرحبا بالعالم, hello\n\n- שלום עולם\n- abc\n\nEnglish again `א` $x$",
    )
    page.wait("$('.katex-html')")
    assert page.js("$$('.md sub').map(e => e.textContent)") == ["2"], "with attributes, or without an end, it is text"
    assert page.js("$('.md sup').innerHTML") == "<em>2</em>" and page.text(".md b") == "bold"
    assert "<sub class=x>no</sub> <sub>open" in page.text(".md p") and page.count(".md td br") == 1
    directions = page.js("$$('.md > p, .md > ul').map(e => getComputedStyle(e).direction)")
    assert directions == ["ltr", "rtl", "rtl", "ltr"]
    assert page.js("getComputedStyle($('.md ul')).paddingRight") != "0px", "the bullets are on the right"
    assert page.js("getComputedStyle($('.md .katex')).direction") == "ltr"
    page.js("$('#message').focus()")
    page.type("مرحبا")
    assert page.js("getComputedStyle($('#message')).direction") == "rtl"


def test_the_whole_conversation_is_printed_and_nothing_else(page: Page) -> None:
    page.prefer(color_scheme="dark")
    keep(page, "printed", [(f"question {index}", f"{index} " + "word " * 60) for index in range(14)])
    page.js("location.hash = '#/c/printed'")
    page.reload()
    page.wait("$('.answered')")
    assert page.count(".slot") > 0 and page.count(".answered") < 14, "on the screen, what is in sight"
    page.js("dispatchEvent(new Event('beforeprint'))")
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.count(".answered") == 14
    shown = page.js(
        "$$('.sidebar, .composer, .top, .tools, .answered, .bubble').filter(e => e.checkVisibility())"
        ".map(e => e.className.split(' ')[0])"
    )
    assert set(shown) == {"turn", "bubble"}
    assert page.js("$('.view').scrollHeight === $('.view').clientHeight"), "nothing is cut by a scroll bar"
    assert page.js("getComputedStyle(document.body).overflow") == "visible"
    assert page.js("getComputedStyle(document.documentElement).colorScheme") == "light"
    page.call("Emulation.setEmulatedMedia", media="")
    page.js("dispatchEvent(new Event('afterprint'))")
    page.wait("$$('.answered').length < 14")
