"""What a model writes is drawn well and obeyed never."""

from pathlib import Path

from .acts import ask, label
from .browser import Browser, Page
from .conftest import Served
from .corpus import GROUPS, HOST, HOSTILE, SPECIAL

ACTIVE = (
    "img, iframe, script, style, link, form, object, embed, video, audio, base, meta, a, details, picture, template"
)


def test_markdown_mathematics_and_code_are_drawn(page: Page) -> None:
    ask(page, "markdown")
    page.wait("$$('.katex-html').length === 3 && $('.hljs-keyword')")
    assert page.count(".md h4") == 1
    assert page.count(".md table tr") == 4
    assert page.js("getComputedStyle($('.md td.md-right')).textAlign") == "right"
    assert page.count(".md-display .katex-html .mfrac") == 1
    page.wait("document.fonts.check('16px KaTeX_Main')")
    assert page.count(".md ol ul li") == 2
    assert page.js("$$('.md-box').map(e => e.getAttribute('aria-label'))") == ["done", "to do"]
    assert page.text(".md sup") == "1"
    assert "It costs $5, or $6 with the lid." in page.text(".md"), "two prices are not a formula"


def test_code_is_copied_as_it_was_written(page: Page, served: Served) -> None:
    page.browser.call(
        "Browser.grantPermissions",
        origin=served.url,
        permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
        browserContextId=page.context,
    )
    ask(page, "say ```python\nx = 1 < 2  # <b>\n```")
    label(page, "Copy the code")
    page.wait("$('.md-code [aria-label=Copied]')")
    assert page.js("navigator.clipboard.readText()") == "x = 1 < 2  # <b>"


def test_mathematics_in_brackets_is_mathematics_except_in_code(page: Page) -> None:
    ask(page, r"say \(a\) and \[b\] but `\(c\)` and $d$, 5$ and 6$.")
    page.wait("$$('.katex-html').length === 3")
    assert page.text(".md code") == r"\(c\)"
    assert "5$ and 6$." in page.text(".md")


def test_a_formula_that_cannot_be_read_is_shown_as_written(page: Page) -> None:
    ask(page, r"say $\frac{1}{$ and $x$")
    page.wait("$$('.katex-html').length === 1")
    assert r"\frac{1}{" in page.text(".md")


def test_control_tokens_are_shown_as_text(page: Page, served: Served) -> None:
    ask(page, f"special {SPECIAL}")
    for token in ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool_call>{}</tool_call>", "<think>x</think>"):
        assert token in page.text(".md")
        assert token in page.text(".bubble")
    assert SPECIAL in served.script.asked[0]["messages"][0]["content"]


def test_hostile_markdown_reaches_no_other_host_and_runs_nothing(chromium: str, served: Served, tmp_path: Path) -> None:
    """Three witnesses: the page's own requests, its complaints, and Chromium's log of every name looked up."""
    log = tmp_path / "net.json"
    browser = Browser(chromium, netlog=log)
    try:
        page = browser.page(served.url)
        for index in range(GROUPS):
            ask(page, f"hostile {index}")
            assert page.js(f"$$('.md').length && $$('.md :is({ACTIVE})').length") == 0, HOSTILE[index::GROUPS]
        page.js(
            "$$('.md-link').forEach(e => { e.focus();"
            " e.dispatchEvent(new PointerEvent('pointerover', {bubbles: true})) })"
        )
        page.click(".model")
        page.wait("$('dialog .md table')", "the card")
        page.press("Escape")
        page.reload()
        page.wait(f"$$('.answered').length === {GROUPS}")
        assert page.js("document.title") == "hostile 0 · creuset", "no script ran"
        assert page.js("typeof window.hacked") == "undefined"
        assert [url for url in page.requests if not url.startswith((served.url, "data:"))] == []
        assert page.complaints == []

        # The witness does see: a link that the person really opens is looked up.
        ask(page, "say [out](https://control.invalid/)")
        page.click(".md-link", "out")
        page.click("dialog .button-main")
        page.wait("!$('dialog')")
        page.wait("new Promise(done => setTimeout(() => done(true), 400))")
    finally:
        browser.close()
    seen = log.read_text(errors="replace")
    assert "control.invalid" in seen
    assert HOST not in seen


def test_a_link_shows_where_it_leads_and_opens_only_after_yes(page: Page) -> None:
    ask(page, "say [my bank](https://example.invalid/login?next=1) ![chart](https://example.invalid/c.png)")
    assert "my bank (example.invalid/login?next=1)" in page.text(".md")
    assert "Image not loaded: chart (example.invalid/c.png)" in page.text(".md")
    page.js(
        "HTMLAnchorElement.prototype.click = function () {"
        " window.opened = [this.href, this.target, this.rel, this.referrerPolicy] }"
    )
    page.click(".md-link", "my bank")
    assert page.text("dialog .address") == "https://example.invalid/login?next=1"
    assert page.js("window.opened") is None
    page.press("Escape")
    page.wait("!$('dialog')")
    assert page.js("window.opened") is None
    page.click(".md-link", "my bank")
    page.click("dialog .button-main")
    assert page.js("window.opened") == [
        "https://example.invalid/login?next=1",
        "_blank",
        "noopener noreferrer nofollow",
        "no-referrer",
    ]


def test_addresses_that_are_not_http_or_mail_are_no_links(page: Page) -> None:
    ask(
        page,
        "say [a](javascript:1) [b](data:text/html,x) [c](/v1/models) [d][r] [e](mailto:a@b.invalid)\n\n[r]: vbscript:x",
    )
    assert page.count(".md-link") == 1
    assert "a (address not shown as a link: javascript:1)" in page.text(".md")


def test_streaming_costs_little(page: Page) -> None:
    """Processor time, not the clock: the machine may be busy with something else."""
    ask(page, "markdown")
    page.call("Performance.enable")

    def spent() -> float:
        metrics = {metric["name"]: metric["value"] for metric in page.call("Performance.getMetrics")["metrics"]}
        return float(metrics["ProcessTime"])

    before = spent()
    ask(page, "slow 150")
    assert spent() - before < 4.0, "150 pieces of text took this many seconds of processor"
