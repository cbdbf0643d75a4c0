"""docs/conformance.md from the results of the suites, and from why their failures fail (causes.toml)."""

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from suites import SUITES, Outcome

CAUSES = Path(__file__).parent / "causes.toml"
UNSORTED = "not sorted"
HEAD = """# Conformance

Programs, clients and tests of others against `creuset serve`, with a script in the place of a model: it greets, calls a
tool that is offered, and fills a form that is asked for. So what is tested is the API, not what a model says. This page
is written by

```text
python validation/conformance/run.py
```

which fetches what it needs by pip and npm. The versions are those of the last run of each suite.

"""
NOTES = """
## What these gaps mean

- **Images**: these models read text. Images are refused by name.
- **Streams of completions, validated strictly**: OpenAI's own examples have `finish_reason: null` in every chunk but
  the last, and its schema does not allow it. A client that validates strictly refuses such chunks. We send what the
  examples have, since any other value would say that the answer is over.
- **Tests of llama.cpp and vLLM**: `validation/conformance/causes.toml` says why each failure fails; it is written by
  hand, from the test. A request of llama.cpp's tests that names no model gets ours.
- **schemathesis** sends at most 12 examples a phase to each operation. In Python 3.11 its coverage phase ends in an
  error of its own on some operations, which are thus tested less.
- **What could not be fetched by itself**: the suite of Open Responses is not on npm (it was run from a copy in a fork),
  and vLLM's source distribution is not unpacked by pip without its build. Both are put into `.cache/conformance/src` by
  hand, and a run says so where they are missing. Tests that fetch models or pictures from elsewhere fail.
"""


def page(results: dict[str, list[Outcome]], versions: dict[str, str]) -> str:
    lines = [HEAD, "| suite | version | passed | failed | skipped |\n|---|---|--:|--:|--:|\n"]
    for name, outcomes in results.items():
        counts = [sum(one.outcome == kind for one in outcomes) for kind in ("passed", "failed", "skipped")]
        lines.append(f"| {SUITES[name].title} | {versions[name]} | {counts[0]} | {counts[1]} | {counts[2]} |\n")
    causes = tomllib.loads(CAUSES.read_text())
    failed = {name: [one for one in outcomes if one.outcome != "passed"] for name, outcomes in results.items()}
    kinds = {name: [_cause(causes, name, one.test) for one in bad] for name, bad in failed.items()}
    counted = Counter(kind for found in kinds.values() for kind, _ in found)
    lines.append("\n## Every gap\n\n| kind | failures | what it is |\n|---|--:|---|\n")
    said = causes["kinds"] | {UNSORTED: "nobody has looked at it"}
    lines += [f"| {kind} | {counted[kind]} | {words} |\n" for kind, words in said.items() if counted[kind]]
    for name, bad in failed.items():
        if bad:
            lines.append(f"\n### {SUITES[name].title}\n\n| test | kind | what it wants | how it fails |\n")
            lines.append("|---|---|---|---|\n")
            lines += [f"| {_cell(one.test)} | {kind} | {_cell(note)} | {_cell(one.why)} |\n"
                      for one, (kind, note) in zip(bad, kinds[name], strict=True)]  # fmt: skip
    return "".join(lines) + NOTES


def _cause(causes: dict[str, Any], suite: str, test: str) -> tuple[str, str]:
    for one in causes["cause"]:
        if one["suite"] == suite and re.search(one["test"], test):
            return one["kind"], one["note"]
    return UNSORTED, ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())[:220]
