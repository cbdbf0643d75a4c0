"""docs/conformance.md is what its results say."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).parent.parent.parent


def test_the_page_is_written_from_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TREE / "validation" / "conformance"))
    from page import page
    from suites import SUITES, Outcome

    kept: dict[str, Any] = json.loads((TREE / "docs" / "runs" / "conformance.json").read_text())
    results = {name: [Outcome(**one) for one in kept[name]["outcomes"]] for name in SUITES if name in kept}
    versions = {name: kept[name]["version"] for name in results}
    assert page(results, versions) == (TREE / "docs" / "conformance.md").read_text()
    assert set(kept) == set(SUITES), "a suite was never run, or is gone"
    for name in ("environments", "page", "suites"):
        sys.modules.pop(name, None)
