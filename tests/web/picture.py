"""The pictures of docs/img, taken of a running server, in light and wide, dark and narrow.

    python -m tests.web.picture http://127.0.0.1:8000/ "What is a river?" "And a lake?"

Each question is asked in one conversation; the last answers are in the picture.
"""

import sys
from pathlib import Path

from .acts import ask
from .browser import Browser, find

IMAGES = Path(__file__).parents[2] / "docs" / "img"


def main(url: str, questions: list[str]) -> None:
    path = find()
    assert path, "Chromium is not installed"
    browser = Browser(path)
    try:
        page = browser.page(url)
        page.prefer(color_scheme="light")
        page.wait("$('.model code')", "the model's name and hash")
        for question in questions:
            ask(page, question)
        still = "new Promise(done => setTimeout(() => done(true), 1000))"  # fonts, colours, the scroll
        page.js("document.activeElement.blur(); $('.view').scrollTop = 0")
        page.wait(still)
        page.photograph(IMAGES / "page-light.png")
        page.prefer(color_scheme="dark")
        page.size(390, 844)
        page.wait(still)
        page.photograph(IMAGES / "page-dark.png")
    finally:
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["How is gold melted?"])
