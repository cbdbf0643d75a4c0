"""The picture of docs/guides/eval-report.md, taken of a report's page.

python -m tests.evals.report_picture run-report.html
"""

import sys
from pathlib import Path

from tests.web.browser import Browser, find

IMAGE = Path(__file__).parents[2] / "docs" / "img" / "eval-report.png"


def main(file: Path) -> None:
    path = find()
    assert path, "Chromium is not installed"
    browser = Browser(path)
    try:
        page = browser.page("about:blank", width=1240, height=1240)
        page.prefer(color_scheme="light")
        page.call("Page.navigate", url=file.resolve().as_uri())
        page.wait("document.readyState === 'complete' && $('#detail')?.children.length > 0", "the samples")
        page.photograph(IMAGE)
    finally:
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
