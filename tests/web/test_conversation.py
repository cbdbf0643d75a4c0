"""A person talks with the page: it streams, stops, answers again, edits, keeps."""

import json

from .acts import answers, ask, label, said, titles, write
from .browser import CTRL, SHIFT, Page
from .conftest import Served


def test_an_answer_is_shown_while_it_is_being_written(page: Page) -> None:
    write(page, "slow")
    first = page.wait("$('.answered .md')?.innerText")
    page.wait(f"$('.answered .md').innerText.length > {len(first) + 20}")
    assert page.text(".answered").startswith("creuset-test")


def test_a_stream_may_be_cut_anywhere(page: Page) -> None:
    assert ask(page, "crumbs") == "Où est l’été ? 🔥"


def test_stop_keeps_what_was_written_and_closes_the_connection(page: Page, served: Served) -> None:
    write(page, "slow")
    page.wait("$('.answered .md')?.innerText.includes('word5')")
    page.click('[aria-label="Stop"]')
    page.wait("!$('[aria-busy=true]')")
    assert served.script.cut.wait(5), "the server was not told"
    kept = answers(page)[0]
    assert kept.startswith("word0 word1") and "word399" not in kept
    assert "Stopped." in page.text(".answered")
    assert ask(page, "hello") == "Answer 2 to: hello"
    assert served.script.asked[1]["messages"][1]["content"].startswith("word0 word1"), (
        "the next request carries the part that was kept"
    )


def test_escape_stops_too(page: Page, served: Served) -> None:
    write(page, "slow")
    page.wait("$('.answered .md')?.innerText.includes('word2')")
    page.press("Escape")
    page.wait("!$('[aria-busy=true]')")
    assert served.script.cut.wait(5)


def test_tokens_and_speed_are_those_the_server_counted(page: Page) -> None:
    ask(page, "slow 50")
    figures = page.text(".figures")
    assert figures.startswith("50 tokens · ") and "tokens/s" in figures and "first word after" in figures


def test_answering_again_keeps_both_versions(page: Page, served: Served) -> None:
    ask(page, "hello")
    label(page, "Answer again")
    page.wait("$('.answered .md')?.innerText === 'Answer 2 to: hello'")
    page.wait("$('.pager')?.innerText.replace(/\\s/g, '') === '2/2'")
    label(page, "Previous version")
    page.wait("$('.answered .md').innerText === 'Answer 1 to: hello'")
    assert [m["role"] for m in served.script.asked[1]["messages"]] == ["user"], (
        "the first answer is not sent with the question"
    )
    ask(page, "and then?")
    label(page, "Next version", within=".answered")
    page.wait("$$('.turn').length === 2", "the second version has no follow-up")
    label(page, "Previous version", within=".answered")
    page.wait("$$('.turn').length === 4", "the first version has kept its own")


def test_editing_a_message_opens_a_branch(page: Page) -> None:
    ask(page, "first")
    ask(page, "second")
    page.press("ArrowUp")
    page.wait("$('.editor textarea') === document.activeElement")
    page.js("document.activeElement.select()")
    page.type("other second")
    page.press("Enter")
    page.wait("$$('.answered .md').at(-1)?.innerText === 'Answer 3 to: other second'")
    assert said(page) == ["first", "other second"]
    label(page, "Previous version", within=".said")
    page.wait("$$('.answered .md').at(-1)?.innerText === 'Answer 2 to: second'")
    assert said(page) == ["first", "second"]


def test_reload_keeps_conversations_and_the_one_in_view(page: Page) -> None:
    ask(page, "about foxes")
    page.press("o", CTRL | SHIFT)
    ask(page, "about gold")
    page.reload()
    page.wait("$$('.list .pick').length === 2")
    assert titles(page) == ["about gold", "about foxes"]
    assert said(page) == ["about gold"]
    page.click(".list .pick", "foxes")
    page.wait("$('.bubble')?.innerText === 'about foxes'")
    page.js("history.back()")
    page.wait("$('.bubble')?.innerText === 'about gold'")


def test_conversations_are_found_renamed_and_deleted(page: Page) -> None:
    for text in ("the fox", "the été", "the lantern"):
        page.press("o", CTRL | SHIFT)
        ask(page, text)
    page.press("k", CTRL)
    page.wait("document.activeElement.type === 'search'")
    page.type("ETE")
    page.wait("$$('.list .pick').length === 1")
    assert titles(page) == ["the été"]
    page.press("Enter")
    page.wait("$('.bubble')?.innerText === 'the été'")
    label(page, "Rename “the été”")
    page.wait("$('dialog input') === document.activeElement")
    page.js("document.activeElement.select()")
    page.type("Summer")
    page.press("Enter")
    page.wait("$('.list .pick').innerText === 'Summer'")
    label(page, "Delete “Summer”")
    page.click("dialog .button-danger")
    page.wait("$('.hello') !== null")
    page.click("[type=search]")
    page.js("document.execCommand('selectAll'), document.execCommand('delete')")
    page.wait("$$('.list .pick').length === 2")
    page.reload()
    page.wait("$$('.list .pick').length === 2")


EXPORTED = """new Promise(resolve => {
    const make = URL.createObjectURL;
    URL.createObjectURL = blob => { blob.text().then(resolve); return make(blob) };
    $$('dialog button').find(b => b.textContent === 'Export').click();
})"""


def take_in(page: Page, text: str) -> str:
    """Import a file; returns what the page says of it."""
    page.js(
        f"(() => {{ const input = $('dialog [type=file]'), data = new DataTransfer();"
        f" data.items.add(new File([{json.dumps(text)}], 'x.json')); input.files = data.files;"
        " input.dispatchEvent(new Event('change', {bubbles: true})) })()"
    )
    return str(page.wait("$('dialog [role=status]').innerText"))


def test_export_and_import_carry_everything(page: Page) -> None:
    ask(page, "hello")
    label(page, "Answer again")
    page.wait("$('.answered .md')?.innerText === 'Answer 2 to: hello'")
    page.click(".bottom", "Settings")
    exported = page.js(EXPORTED)
    assert json.loads(exported)["format"] == "creuset.conversations"
    page.click("dialog .button-danger", "Delete all")
    page.wait("$$('dialog').length === 2")
    page.js("$$('dialog').at(-1).querySelector('.button-danger').click()")
    page.wait("$$('.list .pick').length === 0")
    assert take_in(page, exported) == "1 conversation imported."
    page.press("Escape")
    page.reload()
    page.click(".list .pick", "hello")
    page.wait("$('.pager')?.innerText.replace(/\\s/g, '') === '2/2'")


def test_a_foreign_or_malicious_file_is_refused_or_made_harmless(page: Page) -> None:
    page.click(".bottom", "Settings")
    assert take_in(page, '{"messages": []}') == "This file is not an export of this page."
    loop = {
        "a": {"id": "a", "parent": "b", "role": "user", "text": "x", "at": 1},
        "b": {"id": "b", "parent": "a", "role": "assistant", "text": "y", "at": 2},
    }
    bad = {
        "format": "creuset.conversations",
        "conversations": [
            7,
            {"id": "loop", "title": "loop", "turns": loop, "chosen": {"": "a", "a": "b", "b": "a"}},
            {
                "id": "ok",
                "title": "<img src=x>",
                "turns": {
                    "t": {"id": "t", "parent": "", "role": "user", "text": "hi", "at": "soon", "failure": {"kind": "x"}}
                },
            },
        ],
    }
    page.js("$('dialog [role=status]').textContent = ''")
    assert take_in(page, json.dumps(bad)) == "2 conversations imported. 1 was unreadable."
    page.press("Escape")
    page.click(".list .pick", "<img src=x>")
    page.wait("$('.bubble')?.innerText === 'hi'")
    page.click(".list .pick", "loop")
    page.wait("$('.hello') !== null", "a tree without a root shows nothing")
