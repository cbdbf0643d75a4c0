"""Everyone can use it: two languages, two lights, the keyboard alone, a narrow window, a screen reader."""

import pytest

from .acts import ask, label, write
from .browser import CTRL, SHIFT, Browser, Page
from .conftest import Served

STOPS = "button:not([disabled]), input:not([disabled]), textarea, [tabindex='0'], a[href]"


def test_the_page_says_that_it_is_an_ai_and_which_one(page: Page) -> None:
    page.wait("$('.model').innerText.includes('creuset-test')")
    assert page.text(".model").split() == ["AI", "creuset-test", "62.3M", "parameters", "3f9a1c07"]
    assert "You are talking with an AI, creuset-test" in page.text(".hello")
    assert page.text(".notice") == "creuset-test is an AI. It may be wrong: check what matters."
    page.click(".model")
    card = page.wait("$('dialog')?.innerText")
    for fact in (
        "62.3M parameters, 21.4M at work for each token",
        "2,048 tokens",
        "English, French",
        "Apache-2.0",
        "3f9a1c07" * 8,
        "Where it is from\nFetched from a test.",
        "What is not known\nIt was trained by others.",
        "Limits.",
    ):
        assert fact in card


def test_french_browsers_get_french_and_the_choice_is_kept(browser: Browser, served: Served) -> None:
    page = browser.page(served.url, language="fr-FR")
    page.wait("$('.model').innerText.includes('creuset-test')")
    assert page.js("document.documentElement.lang") == "fr"
    assert "Nouvelle conversation" in page.text() and "De quoi parlons-nous ?" in page.text()
    assert "62,3 M de paramètres" in page.text(".model").replace("\u202f", " ").replace("\xa0", " ")
    ask(page, "slow 20")
    assert "20 jetons · " in page.text(".figures")
    page.click(".model")
    assert "Ce qui n’est pas connu\nIl a été entraîné par d'autres." in str(page.wait("$('dialog')?.innerText"))
    page.click("dialog button")
    page.click(".bottom", "English")
    page.wait("document.documentElement.lang === 'en'")
    page.reload()
    page.wait("document.documentElement.lang === 'en' && document.body.innerText.includes('New conversation')")
    page.close()


def test_light_and_dark_follow_the_system_until_one_is_chosen(page: Page) -> None:
    paper = "getComputedStyle(document.body.parentElement).backgroundColor"
    page.prefer(color_scheme="light")
    light = page.js(paper)
    page.prefer(color_scheme="dark")
    page.wait(f"{paper} !== '{light}'")
    page.click(".bottom", "Settings")
    page.click("dialog .choice span", "Light")
    page.wait(f"{paper} === '{light}'")
    page.reload()
    page.wait(f"{paper} === '{light}'")


PAIRS = (
    ("ink", "paper"),
    ("ink", "raised"),
    ("ink", "said"),
    ("ink", "sunken"),
    ("quiet", "paper"),
    ("quiet", "raised"),
    ("quiet", "said"),
    ("quiet", "sunken"),
    ("ember", "paper"),
    ("ember", "raised"),
    ("ember", "ember-soft"),
    ("on-ember", "ember"),
    ("danger", "raised"),
    ("warn-ink", "warn"),
    ("ink", "ember-soft"),
)
CONTRAST = """(([front, back]) => {
    const light = name => {
        const probe = document.createElement('i'); document.body.append(probe); probe.style.color = `var(--${name})`;
        const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map(linear);
        probe.remove(); return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05);
})"""


def test_every_text_has_enough_contrast_in_both_lights(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.prefer(color_scheme=scheme)
        for pair in PAIRS:
            assert page.js(f"{CONTRAST}({list(pair)})") >= 4.5, (scheme, *pair)
        assert page.js(f"{CONTRAST}(['line-strong', 'raised'])") >= 3, (scheme, "borders of fields")


def test_a_whole_conversation_by_the_keyboard_alone(page: Page) -> None:
    page.wait("document.activeElement.id === 'message'")
    page.type("one")
    page.press("Enter", SHIFT)
    page.type("two")
    page.press("Enter")
    page.wait("$('.answered') && !$('[aria-busy=true]')")
    assert page.text(".bubble") == "one\ntwo"
    page.press("ArrowUp")
    page.wait("document.activeElement.getAttribute('aria-label') === 'Edit your message'")
    page.press("Escape")
    page.wait("document.activeElement.id === 'message'")
    for _ in range(20):  # backwards from the message box: the last button of the answer is near
        page.press("Tab", SHIFT)
        if page.focused() == "Answer again":
            break
    assert page.js("getComputedStyle(document.activeElement).outlineStyle") == "solid", "the focus is visible"
    page.press("Enter")
    page.wait("$('.pager')")
    page.press("o", CTRL | SHIFT)
    page.wait("$('.hello') && document.activeElement.id === 'message'")


def test_every_control_is_reached_by_tab_and_has_a_name(page: Page) -> None:
    ask(page, "say [link](https://a.invalid)\n\n```c\nint x;\n```")
    page.wait("$('.hljs-type')")
    page.js("document.addEventListener('focusin', e => { e.target.seen = true })")
    for _ in range(page.count(STOPS) + 3):
        page.press("Tab")
    visible = f'$$("{STOPS}").filter(e => e.checkVisibility({{visibilityProperty: true}}) && e.tabIndex >= 0)'
    missed = page.js(f"{visible}.filter(e => !e.seen).map(e => e.outerHTML.slice(0, 120))")
    assert missed == []
    nameless = page.js(
        f"{visible}.filter(e => !(e.getAttribute('aria-label') || e.labels?.length || e.innerText?.trim()))"
        ".map(e => e.outerHTML.slice(0, 120))"
    )
    assert nameless == []


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_window_scrolls_in_one_direction_only(browser: Browser, served: Served, width: int) -> None:
    page = browser.page(served.url, width=width, height=700)
    too_wide = f"document.documentElement.scrollWidth > {width} || $('.view').scrollWidth > {width}"
    assert not page.js(too_wide)
    ask(page, "markdown")
    ask(page, "say " + "w" * 300 + " `" + "c" * 200 + "` https://example.org/" + "u" * 200)
    page.wait("$('.katex-html')")
    assert not page.js(too_wide)
    out = page.js(
        "$$('main :is(button, p, h1, h2, h4, li, textarea, .bubble, figure)')"
        ".filter(e => e.checkVisibility() && !e.closest('pre, .md-table, .md-display, .hidden'))"
        f".filter(e => e.getBoundingClientRect().right > {width} + 0.5).map(e => e.outerHTML.slice(0, 100))"
    )
    assert out == []
    label(page, "Open the list of conversations")
    page.wait("$('.sidebar').getBoundingClientRect().left === 0")
    page.wait("document.activeElement.textContent.includes('New conversation')", "the focus goes into the drawer")
    page.press("Escape")
    page.wait("getComputedStyle($('.sidebar')).visibility === 'hidden'")
    assert page.focused() == "Open the list of conversations", "and comes back"
    label(page, "Settings", within=".top")
    page.wait("$('dialog')")
    assert page.js("$('dialog').scrollWidth <= $('dialog').clientWidth")
    page.close()


def test_a_screen_reader_hears_sentences_and_the_end(page: Page) -> None:
    write(page, "say One sentence. Another one! The last")
    page.wait("$('[aria-live]').innerText.includes('The answer is complete.')")
    assert page.js("$('[aria-live]').innerText").count("One sentence.") <= 1
    assert page.js("$$('main, nav').map(e => e.getAttribute('aria-label'))") == ["Conversations", "Conversation"]
