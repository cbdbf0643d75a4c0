"""What a person does on the page, as functions of a `Page`."""

import json

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


KEEP = """(kept => new Promise(done => { const open = indexedDB.open('creuset', 1); open.onsuccess = () => {
    const writing = open.result.transaction('conversations', 'readwrite');
    kept.forEach(one => writing.objectStore('conversations').put(one));
    writing.oncomplete = () => { open.result.close(); done() } } }))"""


def keep(page: Page, id: str, exchanges: list[tuple[str, str]]) -> None:
    """Put a conversation where the page keeps them; it is there after a reload."""
    turns: dict[str, dict[str, object]] = {}
    parent = ""
    for at, text in enumerate(text for exchange in exchanges for text in exchange):
        role = "assistant" if at % 2 else "user"
        turn = {"id": f"{id}-{at}", "parent": parent, "role": role, "text": text, "at": at, "state": "done"}
        turns[f"{id}-{at}"] = turn
        parent = f"{id}-{at}"
    kept = {"id": id, "title": id, "created": 1, "updated": 1, "turns": turns, "chosen": {}}
    page.js(f"{KEEP}([{json.dumps(kept)}])")
