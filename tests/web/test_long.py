"""A thousand rich messages, five thousand conversations, an answer of forty thousand characters.

What is bounded is processor time of the page's own thread, not the clock: the machine may be busy with something else.
"""

from collections.abc import Iterator

import pytest

from .acts import KEEP, keep, label, write
from .browser import Page
from .corpus import SHOWCASE

DRAWN = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
MANY = """Array.from({length: 5000}, (_, at) => ({id: 'c' + at, title: 'Conversation ' + at, created: at, updated: at,
    turns: {t: {id: 't', parent: '', role: 'user', text: 'hello ' + at, at, state: 'done'}}, chosen: {}}))"""


@pytest.fixture
def measured(page: Page) -> Iterator[Page]:
    page.call("Performance.enable", timeDomain="threadTicks")
    yield page
    page.call("Performance.disable")


def used(page: Page) -> float:
    """Processor time of the page's thread so far, in seconds."""
    metrics = page.call("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def test_a_thousand_rich_messages_open_at_once_and_leave_the_keys_light(measured: Page) -> None:
    page = measured
    keep(page, "long", [(f"question {at}", f"{SHOWCASE}\n\nThis was answer {at}.") for at in range(500)])
    page.reload()
    page.wait("$('.list .pick')")
    before = used(page)
    page.click(".list .pick", "long")
    page.wait("$$('.answered').at(-1)?.innerText.includes('This was answer 499.')", "the last message is in sight")
    page.js(DRAWN)
    assert used(page) - before < 0.3, "seconds to open it"
    assert page.count("*") < 3000
    page.js("$('#message').focus()")
    before = used(page)
    for _ in range(20):
        page.type("a")
    page.js(DRAWN)
    assert (used(page) - before) / 20 < 0.016, "seconds for a key"

    # Every message can be reached, none twice, and reading upwards does not make the text jump.
    page.js("$('.view').scrollTop = 0")
    page.wait("$('.bubble').innerText === 'question 0' && $('.answered').innerText.includes('This was answer 0.')")
    page.js("$('.view').scrollTop = $('.view').scrollHeight / 2")
    page.wait("$('.slot').dataset.index > 300")
    page.js(DRAWN)
    indices = page.js("$$('.slot').map(e => Number(e.dataset.index))")
    assert indices == list(range(indices[0], indices[0] + len(indices)))
    edges = page.js("$$('.slot').flatMap(e => [e.getBoundingClientRect().top, e.getBoundingClientRect().bottom])")
    assert all(abs(end - start) < 1 for end, start in zip(edges[1::2], edges[2::2], strict=False)), "no gap, no overlap"
    label(page, "Go to the latest message")
    page.wait("$$('.answered').at(-1)?.innerText.includes('This was answer 499.')")


def test_a_long_answer_among_many_conversations_costs_no_more_than_a_short_one(measured: Page) -> None:
    page = measured
    page.js(f"{KEEP}({MANY})")
    page.reload()
    page.wait("$('.list .pick')")
    assert page.count("*") < 3000
    before = used(page)
    write(page, "burst 1100")
    page.wait("$('.answered .md')?.innerText.includes('word59') && !$('[aria-busy=true]')")
    cost = used(page) - before
    assert len(page.text(".answered .md")) > 40_000
    assert page.count(".answered .md > p") == 367
    assert cost < 1.0, "seconds to draw it while it grows"
    page.click("nav input")
    page.type("conversation 4321")
    page.wait("$$('.list .pick').length === 1 && $('.list .pick').innerText === 'Conversation 4321'")
