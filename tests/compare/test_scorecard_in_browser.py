"""The page in a real browser: its arithmetic is Python's, and it works by keyboard, narrow, in two languages."""

import json

import pytest

from creuset.benchmarks.service.portability import PROBES
from creuset.governance.compare.card import WEIGHED, Cell, Row
from creuset.governance.compare.money import Tokens, Volume, month
from creuset.governance.compare.page import number
from creuset.governance.compare.rank import first_shares, parts, places, standings
from creuset.report.language import Text
from tests.compare.scorecard_picture import open_page, serve
from tests.compare.shelf import built, shelf  # noqa: F401
from tests.web.conftest import browser, chromium  # noqa: F401


def rows_of(card):
    def cell(said):
        return Cell(**{k: v for k, v in said.items() if k not in ("words", "note_fr")})

    return [Row(**{**r, "label": Text("", ""), "cells": tuple(map(cell, r["cells"]))}) for r in card["rows"]]


def test_the_reader_weighs_in_the_browser_as_python_does(shelf, browser):  # noqa: F811
    card = built(shelf)
    rows = rows_of(card)
    server, url = serve(shelf / "out")
    try:
        page = open_page(browser, url, width=1200)
        for missing in ("ignore", "worst", "interval"):
            page.js(f"document.querySelector('input[name=missing][value={missing}]').click()")
            for weights in ({}, {"speed": 0}, {"quality": 9, "strategy": 1}):
                page.js(f"Object.assign(state.weights, equal(), {json.dumps(weights)})")
                said = page.js("standings(state.weights).map(s => [s.total, s.coverage, s.low, s.high, s.half])")
                known = standings(rows, page.js("state.weights"), missing=missing)
                for one, other in zip(said, known, strict=True):
                    assert one == pytest.approx([other.total, other.coverage, other.low, other.high, other.half])
                found = [p and list(p) for p in places(known, missing)]
                assert page.js("places(standings(state.weights), state.missing)") == found
            shares = page.js("firstShares(parts(counted, columns(), false), state.missing, groups)")
            for one, other in zip(shares, first_shares(parts(rows), missing), strict=True):
                assert one == pytest.approx(list(other), abs=1e-9)
        shared = page.js("document.querySelector('#shared').click(), standings(state.weights).map(s => s.total)")
        totals = [s.total for s in standings(rows, page.js("state.weights"), shared_only=True, missing="interval")]
        assert shared == pytest.approx(totals)
        assert "missing=interval" in page.js("location.hash") and "shared=1" in page.js("location.hash")
        assert page.complaints == []
        page.close()
    finally:
        server.shutdown()
        server.server_close()


def test_the_readers_volume_is_priced_in_the_browser_as_python_does(shelf, browser):  # noqa: F811
    card = built(shelf)
    row = next(i for i, r in enumerate(card["rows"]) if r["id"] == "price.month.USD")
    offer = Tokens(**card["offers"][2])
    server, url = serve(shelf / "out")
    type_ = "const i = document.querySelector('[data-volume=%s]'); i.value = %s; i.dispatchEvent(new Event('input'))"
    cell = f'document.querySelector(\'#table td[data-r="{row}"][data-c="2"]\')'
    try:
        page = open_page(browser, url, width=1200)
        volume = card["volume"]
        for name, typed in (("requests", 2_000_000), ("cached_share", 40), ("batch_share", 25), ("output_tokens", 9)):
            page.js("{" + type_ % (name, typed) + "}")
            volume[name] = typed / 100 if name.endswith("share") else typed
            price = month(Volume(**volume), offer)
            assert page.js(f"card.rows[{row}].cells[2].value") == pytest.approx(price)
            assert page.js(cell + ".innerText").strip() == f"≈ {price:,.2f}".removeprefix("≈ ")
        page.js("{" + type_ % ("cached_share", 140) + "}")
        assert page.js("state.volume.cached_share") == 0.4, "more than all of it is no share"
        assert "volume=" in page.js("location.hash")
        again = page.js("location.href")
        page.js("document.querySelector('[data-speak=fr]').click()")
        assert page.js(cell + ".innerText").strip() == number(price, "USD", "fr")
        page.call("Page.navigate", url="about:blank")
        page.call("Page.navigate", url=again)
        page.wait("document.readyState === 'complete' && document.querySelector('#ranking svg')")
        assert page.js("state.volume.requests") == 2_000_000
        assert page.js(f"card.rows[{row}].cells[2].value") == pytest.approx(price)
        assert page.complaints == []
        page.close()
    finally:
        server.shutdown()
        server.server_close()


def test_the_page_is_usable_by_keyboard_in_a_narrow_window_and_in_french(shelf, browser):  # noqa: F811
    built(shelf)
    server, url = serve(shelf / "out")
    try:
        page = open_page(browser, url, width=1200)
        assert page.js("document.documentElement.lang") == "en" and "Only toys <b>" in page.text("main")
        page.js("document.querySelector('[data-speak=fr]').click()")
        assert "Vos poids" in page.text("main") and "Your weights" not in page.text("main")
        page.js("set('speed', 0)")
        assert "speed:0" in page.js("location.hash")
        page.js("document.querySelector('#equal').click()")
        assert set(page.js("Object.values(state.weights)")) <= {0, 5}
        assert list(page.js("state.weights")) == list(WEIGHED)
        page.js("document.querySelector('#table td').focus()")
        for key in ("ArrowDown", "Enter"):
            page.press(key)
        assert page.js("!document.querySelector('#detail').hidden")
        page.press("Escape")
        assert page.js("document.querySelector('#detail').hidden")
        folded = "[...document.querySelectorAll('tr[data-of=api]')].filter(r => r.offsetParent).length"
        assert page.js(folded) == 0
        page.js("document.querySelector('button[data-group=api]').focus()")
        page.press("Enter")
        assert page.js(folded) == len(PROBES)
        page.size(360, 780)
        assert page.js("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out of a narrow window"
        assert [r for r in page.requests if not r.startswith(url.rpartition("/")[0])] == [] and page.complaints == []
        page.close()
    finally:
        server.shutdown()
        server.server_close()
