"""Several windows, reloads and old files: nothing that was said is lost, and nothing that was deleted comes back."""

import json

from .acts import answers, ask, label, said, titles, write
from .browser import Browser, Page
from .conftest import Served
from .test_conversation import EXPORTED, take_in

KEPT = """new Promise(done => { const open = indexedDB.open('creuset', 1); open.onsuccess = () => {
    const all = open.result.transaction('conversations').objectStore('conversations').getAll();
    all.onsuccess = () => { open.result.close(); done(all.result) } } })"""
STOP_TELLING = "BroadcastChannel.prototype.postMessage = () => undefined"  # as when the message comes too late


def both(browser: Browser, served: Served) -> tuple[Page, Page]:
    first = browser.page(served.url)
    ask(first, "said first")
    second = browser.page(first.js("location.href"), context=first.context)
    second.wait("$('.answered .md')")
    return first, second


def rename(page: Page, old: str, new: str) -> None:
    label(page, f"Rename “{old}”")
    page.wait("$('dialog input') === document.activeElement")
    page.js("document.activeElement.select()")
    page.type(new)
    page.press("Enter")
    page.wait(f"$('.list .pick').innerText === {json.dumps(new)}")


def test_two_windows_that_do_not_hear_of_each_other_lose_neither_messages_nor_names(
    browser: Browser, served: Served
) -> None:
    first, second = both(browser, served)
    first.js(STOP_TELLING)
    second.js(STOP_TELLING)
    rename(first, "said first", "A name")
    ask(first, "said in the first window")
    ask(second, "said in the second window")
    first.reload()
    first.wait("$$('.answered').length === 2")
    assert titles(first) == ["A name"]
    texts = sorted(turn["text"] for turn in first.js(KEPT)[0]["turns"].values())
    assert texts == [
        "Answer 1 to: said first",
        "Answer 2 to: said in the first window",
        "Answer 3 to: said in the second window",
        "said first",
        "said in the first window",
        "said in the second window",
    ]
    assert said(first)[-1] == "said in the second window", "the last one to be said is shown"
    label(first, "Previous version", within=".said")
    first.wait("$$('.bubble').at(-1).innerText === 'said in the first window'")
    first.close()


def test_what_another_window_says_appears_also_while_an_answer_is_written_here(
    browser: Browser, served: Served
) -> None:
    first, second = both(browser, served)
    write(first, "slow 150")
    first.wait("$$('.answered .md').at(-1)?.innerText.includes('word3')")
    rename(second, "said first", "Named meanwhile")
    first.wait("$('.list .pick').innerText === 'Named meanwhile' && $('[aria-busy=true]')")
    first.wait("!$('[aria-busy=true]')")
    second.wait("$$('.answered .md').at(-1)?.innerText.endsWith('word149')", "the answer is seen in both")
    assert titles(first) == titles(second) == ["Named meanwhile"]

    # A conversation that is deleted in one window stays deleted, though the other was writing in it, unaware.
    first.js(STOP_TELLING)
    second.js(STOP_TELLING)
    write(first, "slow 100")
    first.wait("$$('.answered').length === 3")
    label(second, "Delete “Named meanwhile”")
    second.click("dialog .button-danger")
    second.wait("$$('.list .pick').length === 0")
    first.wait("$$('.list .pick').length === 0 && $('.hello')", "the window that wrote learns of it when it saves")
    assert served.script.cut.wait(5), "and stops the answer"
    first.reload()
    assert titles(first) == []
    first.close()


def test_an_old_export_adds_what_is_missing_and_overwrites_nothing(page: Page) -> None:
    ask(page, "one")
    page.click(".bottom", "Settings")
    old = page.js(EXPORTED)
    page.press("Escape")
    page.wait("!$('dialog')")
    ask(page, "two")
    rename(page, "one", "My name for it")
    page.click(".bottom", "Settings")
    assert take_in(page, old) == "1 conversation imported."
    page.press("Escape")
    page.reload()
    page.wait("$$('.answered').length === 2")
    assert said(page) == ["one", "two"] and titles(page) == ["My name for it"]
    changed = json.loads(old)
    turns = changed["conversations"][0]["turns"]
    next(turn for turn in turns.values() if turn["role"] == "user")["text"] = "an older wording"
    turns["new"] = {"id": "new", "parent": "", "role": "user", "text": "known to the file only", "at": 1}
    page.click(".bottom", "Settings")
    page.js("$('dialog [role=status]').textContent = ''")
    take_in(page, json.dumps(changed))
    page.press("Escape")
    page.wait("$('.pager')", "what only the file has is there, as another version")
    assert said(page) == ["one", "two"]
    page.wait("!$('dialog')")


def test_a_reload_keeps_drafts_and_goes_on_with_the_answer(page: Page, served: Served) -> None:
    ask(page, "first")
    first = page.js("location.hash")
    page.type("a draft under the first")
    page.press("ArrowUp")  # not empty: it edits nothing
    assert page.count(".editor") == 0
    label(page, "Edit")
    page.wait("$('.editor textarea') === document.activeElement")
    page.type(" edited")
    page.reload()
    page.wait("$('#message').value === 'a draft under the first'")
    label(page, "Edit")
    page.wait("$('.editor textarea')?.value === 'first edited'")
    page.press("Escape")
    page.wait("!$('.editor')")
    page.click(".button.new")
    page.wait("$('#message').value === ''")
    write(page, "slow 120")
    page.wait("($('.answered .md')?.innerText ?? '').includes('word30')")
    page.type("typed while it writes")
    page.reload()
    page.wait("$('.answered .md')?.innerText.startsWith('word0 word1')")
    page.wait("!$('[aria-busy=true]') && $('.answered .md').innerText.endsWith('word119')", "the answer goes on")
    assert answers(page) == [" ".join(f"word{index}" for index in range(120))], "without a gap and without repeating"
    assert "before the answer was complete" not in page.text(".answered")
    last = served.script.asked[-1]
    assert last["continue_final_message"] is True and last["add_generation_prompt"] is False
    assert last["messages"][-1]["role"] == "assistant" and "word30" in last["messages"][-1]["content"]
    assert page.js("$('#message').value") == "typed while it writes"
    page.js(f"location.hash = {json.dumps(first)}")
    page.wait("$('#message').value === 'a draft under the first'")

    # A server that cannot go on: what was written is whole, and the page says that it was cut.
    page.click(".button.new")
    served.script.going_on = False
    write(page, "slow 120")
    page.wait("($('.answered .md')?.innerText ?? '').includes('word30')")
    page.reload()
    page.wait("$('.note')?.innerText.includes('before the answer was complete')")
    assert "word0 word1" in answers(page)[0] and "word30" in answers(page)[0] and page.count(".trouble") == 0
    served.script.going_on = True
    page.click(".tools .button", "Continue")
    page.wait("!$('[aria-busy=true]') && $('.answered .md').innerText.endsWith('word119')")
    assert answers(page) == [" ".join(f"word{index}" for index in range(120))]

    # The question may be sent before the page knows which model answers.
    page.call("Network.setBlockedURLs", urls=["*/v1/creuset/model*"])
    page.click(".button.new")
    page.reload()
    write(page, "slow 121")
    page.wait("($('.answered .md')?.innerText ?? '').includes('word30')")
    page.call("Network.setBlockedURLs", urls=[])
    page.reload()
    page.wait("!$('[aria-busy=true]') && $('.answered .md')?.innerText.endsWith('word120')")

    # What is set aside of an answer goes with its conversation.
    aside = "Object.keys(localStorage).filter(name => name.startsWith('creuset.cut.')).length"
    write(page, "slow 100")
    page.wait("$$('.answered .md')[1]?.innerText.includes('word3')")
    page.js("dispatchEvent(new Event('pagehide'))")
    assert page.js(aside) == 1
    label(page, "Delete “slow 121”", within=".current")
    page.click("dialog .button-danger")
    page.wait("!$('dialog')")
    assert page.js(aside) == 0
    page.js("localStorage.setItem('creuset.cut.nobody', '{}')")
    page.reload()
    page.wait(f"{aside} === 0", "what belongs to no answer is dropped")
