"""`creuset eval report PATH` and `creuset eval compare A B`: pages of evaluations that are there. No torch here."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from creuset.core.errors import ConfigError

if TYPE_CHECKING:
    from creuset.evals.gate import FailIf


def report(path: Path, out: Path | None, *, lang: str = "en", as_json: bool = False, inspect: bool = False) -> int:
    """Write the page and the table of the evaluation `path`, with `inspect` also its inspect_ai logs."""
    from creuset.evals.inspect_log import write_logs
    from creuset.evals.report import write_report

    files = write_report(path, out, lang=lang)
    if inspect:
        files += write_logs(path, files[0].with_suffix(".inspect"))
    print(json.dumps({"files": [str(f) for f in files]}) if as_json else "\n".join(map(str, files)))
    return 0


def compare(
    a: Path,
    b: Path,
    out: Path | None,
    *,
    margin: float = 0.02,
    lang: str = "en",
    as_json: bool = False,
    fail_if: "FailIf | None" = None,
    quiet: bool = False,
) -> int:
    """Print the comparison; with `out`, write it as a page (.html) and as JSON beside it. 1 where B fails `fail_if`.

    `a` may be a folder of evaluations: then its newest is meant. `quiet`: all goes to stderr.
    """
    from creuset.core.log import say
    from creuset.evals.gate import failing, last_run
    from creuset.evals.paired import compare_runs, text
    from creuset.evals.paired_page import write_comparison

    if out is not None and out.suffix != ".html":
        raise ConfigError(f"`{out}` is not a name of a page", hint="give a name that ends in .html")
    try:
        found = compare_runs(last_run(a, but=b) or a, b, margin)
    except ValueError as refused:
        raise ConfigError(str(refused)) from refused
    said = json.dumps(found.json(), indent=2, ensure_ascii=False)
    if out is not None:
        write_comparison(found, out, lang=lang)
        out.with_suffix(".json").write_text(said + "\n", encoding="utf-8")
    if quiet:
        say(text(found))
    else:
        print(said if as_json else text(found))
    problems = failing(found, fail_if) if fail_if else []
    for problem in problems:
        say(f"FAILED  {problem}")
    return 1 if problems else 0
