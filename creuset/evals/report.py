"""The report of an evaluation: one HTML page to read, and results.csv beside it. No torch here.

The page has every measure with its interval, and every sample with what was asked, what came back, what was made of
it and what was right. Rows of tasks whose prompts are harmful say only whether they were right.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError
from creuset.core.log import duration
from creuset.report.page import both, embed, embed_packed, label, sheet, text
from creuset.report.table import csv_fields, measure_table, number
from creuset.types.measure import Results, Row, read_results

MOST = 20_000       # samples of a task in a page: more would make it slow to open
HIDDEN = ("prompt", "prompts", "choices", "pairs", "outcomes", "answer", "gold", "text")
_WORDS = {
    "prompt": ("asked", "demandé"), "reply": ("reply", "réponse"), "reasoning": ("reasoning", "raisonnement"),
    "answer": ("answer taken", "réponse retenue"), "gold": ("right answer", "réponse juste"),
    "verdict": ("verdict", "constat"), "right": ("right", "juste"), "wrong": ("wrong", "faux"),
    "failed": ("call failed", "appel échoué"), "nothing": ("no answer found", "aucune réponse trouvée"),
    "none": ("not scored", "non noté"), "choices": ("choices", "choix"), "continuation": ("continuation", "suite"),
    "tokens": ("tokens", "jetons"), "attempts": ("attempts", "essais"), "empty": ("(empty)", "(vide)"),
    "hidden": ("hidden", "masqué"), "text": ("text", "texte"), "unpacking": ("unpacking ...", "ouverture ..."),
    "hidden_why": ("The questions of this task are harmful: they and the answers are not shown.",
                   "Les questions de cette épreuve sont nuisibles : ni elles ni les réponses ne sont montrées."),
    "none_here": ("No sample is like that.", "Aucun échantillon ne correspond."),
}  # fmt: skip
_SPREAD = both(
    "For pages to open, some tasks have not all their samples here, but evenly spread ones; the files of samples have "
    "all.",
    "Pour que la page s'ouvre, certaines épreuves n'ont pas ici tous leurs échantillons, mais une partie également "
    "répartie ; les fichiers d'échantillons les ont tous.",
)
FILTERS = (
    ("all", "all", "tous"), ("wrong", "wrong", "faux"), ("right", "right", "justes"), ("failed", "failed", "échoués"),
    ("unextracted", "no answer found", "sans réponse trouvée"),
)  # fmt: skip


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
    title = (f"Evaluation of {run.name}", f"Évaluation de {run.name}")
    body = "".join((
        _facts(run), _notes(run),
        f"<h2>{both('Scores', 'Résultats')}</h2>", _legend(), measure_table(run.rows),
        samples_browser(run.samples, harmful=harmful),
    ))
    known = {"commit": run.about.get("commit"), "sha256": run.sha256}
    return sheet(title, body, lang=lang, scripts=("browse.js",), styles=("browse.css",),
                 facts={k: str(v) for k, v in known.items() if v})  # fmt: skip


def _facts(run: Results) -> str:
    usage, settings = run.about.get("usage") or {}, run.about.get("settings") or {}
    facts: list[tuple[str, str]] = []
    for name in ("kind", "url", "model", "dialect", "sha256"):
        if value := run.subject.get(name):
            facts.append((text(name), text(value)))
    dates = sorted({str(row["date"]) for row in run.rows if row.get("date")})
    if dates:
        facts.append((both("date", "date"), text(dates[0] if len(dates) == 1 else f"{dates[0]} ... {dates[-1]}")))
    if settings.get("seed") is not None:
        facts.append((both("seed", "graine"), text(settings["seed"])))
    if usage:
        facts += _consumed(usage)
    if isinstance(seconds := run.about.get("wall_s"), int | float):
        facts.append((both("time", "durée"), text(duration(seconds))))
    return f'<dl class="facts">{"".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in facts)}</dl>'


def _consumed(usage: Row) -> list[tuple[str, str]]:
    def counts(*parts: tuple[str, str, str]) -> str:
        return ", ".join(f"{number(usage.get(name, 0))} {both(en, fr)}" for name, en, fr in parts)

    cost = usage.get("cost")
    money = both("no price is known", "aucun prix connu") if cost is None else text(f"{cost:.4f} {usage['currency']}")
    return [
        (both("calls", "appels"), counts(("calls", "made", "faits"), ("failed", "failed", "échoués"),
                                         ("retried", "retried", "réessayés"))),
        (both("tokens", "jetons"), counts(("prompt_tokens", "read", "lus"),
                                          ("completion_tokens", "written", "écrits"))),
        (both("cost", "coût"), money),
    ]  # fmt: skip


def _notes(run: Results) -> str:
    """What a reader must not overlook."""
    notes = []
    worst = _one_a_task(run.rows)
    failed = [f"{row['task']} ({row['failed']} / {_asked(row)})" for row in worst if row.get("failed")]
    if failed:
        notes.append(both("Calls failed, and count as wrong: ", "Des appels ont échoué et comptent comme faux : ")
                     + text(", ".join(failed)))  # fmt: skip
    lost = [f"{row['task']} ({row['unextracted']} / {_asked(row)}, {row.get('extractor') or '-'})"
            for row in worst if row.get("unextracted")]  # fmt: skip
    if lost:
        notes.append(both("Replies in which no answer was found: ", "Réponses sans réponse trouvée : ")
                     + text(", ".join(lost)))  # fmt: skip
    warnings = (run.about.get("usage") or {}).get("warnings") or {}
    if warnings:
        notes.append(both("The endpoint was odd: ", "Le service s'est montré étrange : ")
                     + text(", ".join(f"{k} ({v})" for k, v in warnings.items())))  # fmt: skip
    return "".join(f'<p class="note">{note}</p>' for note in notes)


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


def _legend() -> str:
    return '<p class="soft">' + both(
        "Dot: the score; band: its 95 % interval; dashed line: what guessing gets, or the ideal. Press a heading to "
        "sort, a row's arrow for its hashes, data and extractor.",
        "Point : le score ; bande : son intervalle à 95 % ; tirets : ce que donne le hasard, ou l'idéal. Un en-tête "
        "trie, la flèche d'une ligne ouvre ses empreintes, données et extracteur.",
    ) + "</p>"


def samples_browser(
    samples: Mapping[str, Sequence[Row]],
    *,
    harmful: bool = False,
    filters: Sequence[tuple[str, str, str]] = FILTERS,
    words: Mapping[str, tuple[str, str]] | None = None,
) -> str:
    """The part of a page in which samples are looked at; needs the script browse.js and the style browse.css.

    Of a task with more than MOST samples the page has that many, evenly spread; the files of samples have all.
    """
    if not samples:
        return ""
    names, counts = list(samples), {name: len(rows) for name, rows in samples.items()}
    samples = {name: spread(rows, MOST) for name, rows in samples.items()}
    options = "".join(f'<option value="{text(n)}">{text(n)} ({number(len(samples[n]))})</option>' for n in names)
    cut = ", ".join(f"{n}: {number(MOST)} / {number(counts[n])}" for n in names if counts[n] > MOST)
    warned = f'<p class="note">{_SPREAD} {text(cut)}.</p>' if cut else ""
    pressed = "".join(
        f'<button data-filter="{name}" aria-pressed="{"true" if i == 0 else "false"}">{both(en, fr)}</button>'
        for i, (name, en, fr) in enumerate(filters)
    )
    data = "".join(
        embed_packed(f"rows-{n}", [_shown(row, harmful=harmful) for row in samples[n]]) for n in names
    )
    return "".join((
        f'<section id="browse"><h2>{both("Samples", "Échantillons")}</h2><p class="soft">',
        both("Keys: / to search, j and k or the arrows to move.",
             "Touches : / pour chercher, j et k ou les flèches pour parcourir."),
        f'</p>{warned}<div class="tools"><select id="task" {label("Task", "Épreuve")}>{options}</select>{pressed}',
        f'<input id="seek" type="search" placeholder="search" {label("search", "chercher", "placeholder")}>',
        '<span id="count" class="soft" role="status"></span></div><div class="split">',
        f'<div id="list" tabindex="0" role="listbox" {label("Samples", "Échantillons")}><div class="room"></div></div>',
        f'<div id="detail" tabindex="0" role="region" {label("One sample", "Un échantillon")}></div></div>',
        "<noscript>The samples need JavaScript.</noscript></section>",
        embed("words", {**_WORDS, **(words or {})}), data,
    ))  # fmt: skip


def spread(rows: Sequence[Row], most: int) -> Sequence[Row]:
    """At most `most` of the rows, in their order, at even distances: every kind of sample keeps its share."""
    return rows if len(rows) <= most else [rows[i * len(rows) // most] for i in range(most)]


def _shown(row: Row, *, harmful: bool) -> Row:
    if row.get("hidden") and not harmful:
        return {k: v for k, v in row.items() if k not in HIDDEN}
    asked = any(k in row for k in ("prompt", "prompts", "pairs"))
    return {k: v for k, v in row.items() if k != "hidden"} if asked else row


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
