"""The comparison of two evaluations as one HTML page: differences with their intervals, and the samples that flipped.
No torch here."""

from pathlib import Path

from creuset.evals.paired import SAYS, Comparison, TaskPair
from creuset.evals.report import FILTERS, samples_browser
from creuset.report.page import both, sheet, text
from creuset.report.table import bar, number, tick

_FILTERS = (FILTERS[0], ("flips", "flipped", "différents"), ("only_a", "only A right", "A seul juste"),
            ("only_b", "only B right", "B seul juste"), ("neither", "neither right", "aucun juste"))  # fmt: skip


def write_comparison(found: Comparison, path: Path, *, lang: str = "en") -> None:
    """Write the page of the comparison to the file `path`."""
    path.write_text(page(found, lang=lang), encoding="utf-8", errors="replace")


def page(found: Comparison, *, lang: str = "en") -> str:
    names = (str(found.a["name"]), str(found.b["name"]))
    facts = "".join(
        f'<dt>{side}</dt><dd>{text(one["name"])} <span class="soft mono">'
        f'{text(one.get("url") or "")} {text(str(one.get("sha256") or "")[:16])}</span></dd>'
        for side, one in (("A", found.a), ("B", found.b))
    )
    margin = number(found.margin)
    said = both(
        f"B minus A on the same samples: dot and 95 % interval (paired bootstrap); dashed: no difference. Better means "
        f"that p, adjusted for all tasks (Holm), is below 0.05; equal, that a difference of {margin} or more is "
        "rejected (two one-sided tests). A true difference below the smallest one shown would mostly be missed.",
        f"B moins A sur les mêmes échantillons : point et intervalle à 95 % (bootstrap apparié) ; tirets : aucune "
        f"différence. Meilleur : p corrigé pour toutes les épreuves (Holm) sous 0,05 ; égaux : une différence d'au "
        f"moins {margin} est rejetée (deux tests unilatéraux). Une vraie différence plus petite que la plus petite "
        "décelable échapperait le plus souvent.",
    )
    refused = "".join(
        f'<p class="note">{both("not compared", "non comparé")}: {text(task)}: {text(why)}</p>'
        for task, why in found.refused.items()
    )
    title = (f"{names[0]} and {names[1]}, compared", f"{names[0]} et {names[1]}, comparés")
    words = {"name_a": (names[0], names[0]), "name_b": (names[1], names[1])}
    body = f'<dl class="facts">{facts}</dl><p class="soft">{said}</p>{_table(found)}{refused}' + samples_browser(
        found.rows, filters=_FILTERS, words=words
    )
    return sheet(title, body, lang=lang, scripts=("browse.js",), styles=("browse.css",))


def _table(found: Comparison) -> str:
    reach = max(abs(v) for t in found.tasks for v in (t.interval.low, t.interval.high, t.difference, 1.5 * t.margin))
    ends = (-reach, reach)
    scale = f'<span class="scale"><span>{tick(-reach)}</span><span>B - A</span><span>{tick(reach)}</span></span>'
    heads = (("task", "épreuve", "l"), ("A", "A", "m"), ("B", "B", "m"), ("B - A", "B - A", ""))
    more = (("verdict", "constat", "l"), ("n", "n", "m"), ("flips A / B", "bascules A / B", "m"), ("p", "p", "m"),
            ("Holm", "Holm", "m"), ("shows from", "décèle dès", "m"))  # fmt: skip

    def head(parts: tuple[tuple[str, str, str], ...]) -> str:
        return "".join(f'<th class="{k}"><button data-sort>{both(en, fr)}</button></th>' for en, fr, k in parts)

    bodies = "".join(_line(t, ends) for t in found.tasks)
    top = f'{head(heads)}<th class="bar l">{scale}</th>{head(more)}'
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead>{bodies}</table></div>'


def _line(t: TaskPair, ends: tuple[float, float]) -> str:
    row = {"score": t.difference, "interval": [t.interval.low, t.interval.high], "better": "zero"}
    flips = both("graded", "gradué") if t.only_a is None else f"{t.only_a} / {t.only_b}"
    shows = "" if t.smallest is None else number(t.smallest)
    kind = {"b_better": "good", "a_better": "bad"}.get(t.verdict, "soft")
    cells = (
        f'<td class="name">{text(t.task)}</td><td class="m" data-value="{t.a}">{number(t.a)}</td>'
        f'<td class="m" data-value="{t.b}">{number(t.b)}</td>'
        f'<td class="score" data-value="{t.difference}">{t.difference:+.3f}</td><td class="bar l">{bar(row, ends)}</td>'
        f'<td class="l {kind}">{both(*SAYS[t.verdict])}</td><td class="m" data-value="{t.n}">{number(t.n)}</td>'
        f'<td class="m">{flips}</td><td class="m" data-value="{t.p}">{t.p:.4f}</td>'
        f'<td class="m" data-value="{t.holm}">{t.holm:.4f}</td>'
        f'<td class="m" data-value="{t.smallest or ""}">{shows}</td>'
    )
    return f"<tbody><tr>{cells}</tr></tbody>"
