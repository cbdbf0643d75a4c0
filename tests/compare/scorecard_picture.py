"""The pictures of a scorecard's page, wide and light, narrow and dark.

python -m tests.compare.scorecard_picture FOLDER OUT.png
"""

import functools
import http.server
import sys
import threading
from pathlib import Path

from tests.web.browser import Browser, Page, find

STILL = "new Promise(done => setTimeout(() => done(true), 300))"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(folder: Path) -> tuple[http.server.ThreadingHTTPServer, str]:
    """The folder over HTTP, and the address of its page."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}/index.html"


def open_page(browser: Browser, url: str, *, width: int = 1440, height: int = 1100, language: str = "en") -> Page:
    page = browser.page("about:blank", width=width, height=height, language=language)
    page.call("Page.navigate", url=url)
    page.wait("document.readyState === 'complete' && document.querySelector('#ranking svg')")
    return page


def main(folder: Path, out: Path) -> None:
    path = find()
    assert path, "Chromium is not installed"
    server, url = serve(folder)
    browser = Browser(path)
    try:
        page = open_page(browser, url)
        page.prefer(color_scheme="light")
        page.wait(STILL)
        page.photograph(out)
        page.js("document.querySelector('#table').scrollIntoView()")
        page.wait(STILL)
        page.photograph(out.with_stem(out.stem + "-table"))
        page.prefer(color_scheme="dark")
        page.size(390, 844)
        page.wait(STILL)
        page.photograph(out.with_stem(out.stem + "-narrow-table"))
        page.js("scrollTo(0, 0)")
        page.wait(STILL)
        page.photograph(out.with_stem(out.stem + "-narrow"))
    finally:
        browser.close()
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
