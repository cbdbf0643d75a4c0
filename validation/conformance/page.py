"""docs/conformance.md from the results of the suites."""

from suites import SUITES, Outcome

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

- **WebSockets and compaction** (Open Responses): `/v1/responses` is served over HTTP only, and `/v1/responses/compact`
  is not served. `truncation: "auto"` leaves old turns out.
- **Images**: these models read text. Images are refused by name.
- **Streams of completions, validated strictly**: OpenAI's own examples have `finish_reason: null` in every chunk but
  the last, and its schema does not allow it. A client that validates strictly refuses such chunks. We send what the
  examples have, since any other value would say that the answer is over.
- **Tests of llama.cpp and vLLM**: many of those that fail ask for fields and addresses of their own (`timings`,
  `/embedding`, `input_messages`), for the words of the model that they were written for, for thoughts, which the script
  has none of, for their own wording of a refusal, or for parts of their packages (`collection failure`). They are not
  sorted here: each is listed, so that a reader can judge it. What a server of theirs takes and ours refuses is a gap:
  lists that mix texts and tokens in `input` of embeddings, more fields of sampling in Responses. A request of
  llama.cpp's tests that names no model gets ours.
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
    lines.append("\n## Every gap\n")
    for name, outcomes in results.items():
        bad = [one for one in outcomes if one.outcome != "passed"]
        if bad:
            lines.append(f"\n### {SUITES[name].title}\n\n| test | outcome | why |\n|---|---|---|\n")
            lines += [f"| {_cell(one.test)} | {one.outcome} | {_cell(one.why)} |\n" for one in bad]
    return "".join(lines) + NOTES


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())[:220]
