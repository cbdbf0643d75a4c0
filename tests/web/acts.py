"""What a person does on the page, as functions of a `Page`."""

from .browser import Page

BUSY = "$('[aria-busy=true]')"


def write(page: Page, text: str) -> None:
    page.js("$('#message').focus()")
    page.type(text)
    page.press("Enter")


def ask(page: Page, text: str) -> str:
    """Send, wait for the end of the answer, and return it."""
    before = page.count(".answered")
    write(page, text)
    page.wait(f"$$('.answered').length > {before} && !{BUSY}", "the end of the answer")
    return answers(page)[-1]


def answers(page: Page) -> list[str]:
    found = page.js("$$('.answered').map(e => (e.querySelector('.md')?.innerText ?? '').trim())")
    assert isinstance(found, list)
    return [str(text) for text in found]


def said(page: Page) -> list[str]:
    found = page.js("$$('.bubble').map(e => e.innerText)")
    assert isinstance(found, list)
    return [str(text) for text in found]


def titles(page: Page) -> list[str]:
    found = page.js("$$('.list .pick').map(e => e.innerText)")
    assert isinstance(found, list)
    return [str(text) for text in found]


def label(page: Page, name: str, within: str = "") -> None:
    """Press the last button called `name`."""
    page.js("document.activeElement.blur()")
    page.click(f'{within} [aria-label="{name}"]')
