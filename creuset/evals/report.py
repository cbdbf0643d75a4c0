"""The report of an evaluation: one HTML page to read, and results.csv beside it. No torch here.

The page has every measure with its interval, and every sample with what was asked, what came back, what was made of
it and what was right. Rows of tasks whose prompts are harmful say only whether they were right.
"""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError
from creuset.core.log import duration
from creuset.core.sentences import sentence
from creuset.report.blocks import Block, FactList, Para, Said, Section, Span, Words, line
from creuset.report.page import page as whole_page
from creuset.report.samples import SCRIPTS, STYLES, samples_browser
from creuset.report.table import csv_fields, measure_table, number
from creuset.types.measure import Results, Row, read_results


def write_report(path: Path, out: Path | None = None, *, lang: str = "en", harmful: bool = False) -> list[Path]:
    """Write the page of the evaluation in folder `path`, and results.csv beside it; returns both.

    `out`: a file (or a folder that exists); default: PATH-report.html beside the folder, since artifacts are not
    changed. `harmful` shows prompts that are hidden by default, where the rows have them.
    """
    run = read_results(path, samples=True)
    file = out or path.with_name(path.resolve().name + "-report.html")
    if file.is_dir():
        file /= "report.html"
    if file.suffix != ".html":
        raise ConfigError(f"`{file}` is not a name of a page", hint="give a name that ends in .html")
    table = file.with_suffix(".csv")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(run, lang=lang, harmful=harmful), encoding="utf-8", errors="replace")
    table.write_text(results_csv(run.rows), encoding="utf-8", errors="replace", newline="")
    return [file, table]


def page(run: Results, *, lang: str = "en", harmful: bool = False) -> str:
    """The page; `harmful` as in `write_report`."""
    scores = Section(sentence("evals.scores"), (Para((LEGEND,), "soft"), *measure_table(run.rows)))
    known = {"commit": run.about.get("commit"), "sha256": run.sha256}
    return whole_page(
        sentence("evals.evaluation_of", name=run.name),
        [_facts(run), *_notes(run), scores, *samples_browser(run.samples, harmful=harmful)],
        lang=lang,
        scripts=SCRIPTS,
        styles=STYLES,
        facts=[(k, str(v)) for k, v in known.items() if v],
    )


LEGEND = Span(sentence("evals.dot_the_score_band_its_95"))


def _facts(run: Results) -> FactList:
    usage, settings = run.about.get("usage") or {}, run.about.get("settings") or {}
    facts: list[tuple[Said, Said]] = [
        (name, str(value)) for name in ("kind", "url", "model", "dialect", "sha256") if (value := run.subject.get(name))
    ]
    for name, value in (run.subject.get("asked_with") or {}).items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        facts.append((sentence("evals.asked_with", name=name), shown))
    dates = sorted({str(row["date"]) for row in run.rows if row.get("date")})
    if dates:
        facts.append((sentence("evals.date"), dates[0] if len(dates) == 1 else f"{dates[0]} ... {dates[-1]}"))
    if settings.get("seed") is not None:
        facts.append((sentence("evals.seed"), str(settings["seed"])))
    if usage:
        facts += _consumed(usage)
    if isinstance(seconds := run.about.get("wall_s"), int | float):
        facts.append((sentence("evals.time"), duration(seconds)))
    return FactList(tuple(facts))


def _consumed(usage: Row) -> list[tuple[Said, Said]]:
    def counts(*parts: tuple[str, Words]) -> Said:
        said = ((", " if i else "", number(usage.get(name, 0)), " ", words) for i, (name, words) in enumerate(parts))
        return line(*(word for part in said for word in part))

    cost = usage.get("cost")
    money = sentence("evals.no_price_is_known") if cost is None else f"{cost:.4f} {usage['currency']}"
    return [
        (sentence("evals.calls"), counts(("calls", sentence("evals.made")), ("failed", sentence("evals.failed")),
                                         ("retried", sentence("evals.retried")))),
        (sentence("evals.tokens"), counts(("prompt_tokens", sentence("evals.read")),
                                          ("completion_tokens", sentence("evals.written")))),
        (sentence("evals.cost"), money),
    ]  # fmt: skip


def _notes(run: Results) -> list[Block]:
    """What a reader must not overlook."""
    worst = _one_a_task(run.rows)
    failed = [f"{row['task']} ({row['failed']} / {_asked(row)})" for row in worst if row.get("failed")]
    lost = [f"{row['task']} ({row['unextracted']} / {_asked(row)}, {row.get('extractor') or '-'})"
            for row in worst if row.get("unextracted")]  # fmt: skip
    usage = run.about.get("usage") or {}
    warnings, examples = usage.get("warnings") or {}, usage.get("examples") or {}
    dropped = {"parameter_dropped": f": {examples.get('parameter_dropped', '').partition(' (')[0]}"}
    notes = (
        (sentence("evals.calls_failed_and_count_as_wrong"), failed),
        (sentence("evals.replies_in_which_no_answer_was"), lost),
        (sentence("evals.the_endpoint_was_odd"), [f"{k} ({v}{dropped.get(k, '')})" for k, v in warnings.items()]),
    )
    return [Para(line(words, ", ".join(found)), "note") for words, found in notes if found]


def _asked(row: Row) -> int:
    return int(row.get("denominator") or row.get("n") or 0)


def _one_a_task(rows: Sequence[Row]) -> list[Row]:
    """The row of each task that lost most: strict extractors lose more than lenient ones."""
    worst: dict[str, Row] = {}
    for row in rows:
        lost = (row.get("failed") or 0) + (row.get("unextracted") or 0)
        kept = worst.get(row["task"])
        if kept is None or lost > (kept.get("failed") or 0) + (kept.get("unextracted") or 0):
            worst[row["task"]] = row
    return list(worst.values())


def results_csv(rows: Sequence[Row]) -> str:
    """One line a measure. Cells that a spreadsheet would run as a formula begin with an apostrophe."""
    fields = csv_fields()
    out = io.StringIO()
    writer = csv.DictWriter(out, fields, extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        low, high = row.get("interval") or ("", "")
        flat = {**row, "low": low, "high": high, "articles": "; ".join(row.get("articles") or ())}
        writer.writerow({name: _cell(flat.get(name)) for name in fields})
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return "" if value is None else value
