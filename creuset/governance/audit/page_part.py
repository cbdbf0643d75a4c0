"""One part of the audit on its page: how to read it, what was found and what could have been, then all figures.

A part with many figures shows its main ones; the others are folded. No torch here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.governance.audit.curves import curves
from creuset.governance.audit.how_to_read import COMPARED, GROUPS, how_to_read
from creuset.report.page import both, text
from creuset.report.table import breakable, interval_text, measure_table, number, tag

Row = Mapping[str, Any]
SHOWN = 12      # figures of a part that are not folded


def block(task: str, rows: Sequence[Row]) -> str:
    """The part's heading and all that is known; `rows` are its figures, those without a score among them."""
    scored = [row for row in rows if row.get("score") is not None]
    words = how_to_read(task)
    return "".join((
        f"<h3>{breakable(task)}</h3>",
        f'<p class="soft">{both(words.en, words.fr)}</p>' if words else "",
        _findings([row for row in scored if "detected" in row]), curves(scored), _figures(scored),
        _without([row for row in rows if row.get("score") is None]),
    ))  # fmt: skip


def _figures(scored: Sequence[Row]) -> str:
    if not scored:
        return ""
    first = [row for row in scored if "." not in str(row["metric"])] or list(scored[:SHOWN // 2])
    if len(scored) <= SHOWN or len(first) == len(scored):
        return measure_table(scored, task=False)
    rest = [row for row in scored if row not in first]
    more = both(f"{len(rest)} more figures", f"{len(rest)} autres chiffres")
    return (measure_table(first, task=False)
            + f"<details><summary>{more}</summary>{measure_table(rest, task=False)}</details>")  # fmt: skip


def _without(rows: Sequence[Row]) -> str:
    """Why there is no figure: once a reason, however many figures it holds for."""
    reasons: dict[tuple[str, str, str], int] = {}
    for row in rows:
        reason = str(row.get("status", "measured")), str(row.get("why", "")), _judge(row)
        reasons[reason] = reasons.get(reason, 0) + 1
    said = "".join(
        f"<li>{tag(status)} {text(why)}{judge}" + (both(f" ({n} figures)", f" ({n} chiffres)") if n > 1 else "")
        + "</li>" for (status, why, judge), n in reasons.items()
    )
    return f"<ul>{said}</ul>" if said else ""


def _judge(row: Row) -> str:
    """Who was asked for verdicts, and how many came."""
    if not row.get("judge"):
        return ""
    who = text(", ".join(str(row[key]) for key in ("judge", "judge_at") if row.get(key)))
    asked, unread, failed = (number(row.get(key) or 0) for key in ("judge_calls", "unread", "judge_failed"))
    return " (" + both(f"judge: {who}; {asked} calls, {unread} without a verdict, {failed} failed",
                       f"juge : {who} ; {asked} appels, {unread} sans verdict, {failed} en échec") + ")"


def _findings(rows: Sequence[Row]) -> str:
    """What was tested: the gap, its interval, p after Holm's correction, and what the sample could have shown."""
    if not rows:
        return ""
    heads = (("compared", "comparaison", "l"), ("gap", "écart", ""), ("95 % interval", "intervalle à 95 %", ""),
             ("p (Holm)", "p (Holm)", ""), ("at equal frequency, age and length of names",
              "à fréquence, âge et longueur de prénoms égaux", "m"), ("finding", "constat", "l"))  # fmt: skip
    head = "".join(f'<th class="{kind}">{both(en, fr)}</th>' for en, fr, kind in heads)
    lines, last = "", ""
    for row in rows:
        what, _, group = str(row["metric"]).partition(".")
        if what != last:
            name = both(COMPARED[what].en, COMPARED[what].fr) if what in COMPARED else breakable(what)
            lines += f'<tbody><tr><th class="l" colspan="{len(heads)}">{name}</th></tr></tbody>'
            last = what
        words = GROUPS.get(group.rpartition(".")[2])
        equal = row.get("adjusted_interval")
        same = f"{row['adjusted']:.3f} [{equal[0]:.3f}, {equal[1]:.3f}]" if equal else ""
        lines += (
            f'<tbody><tr><td class="name">{both(words.en, words.fr) if words else breakable(group)}</td>'
            f'<td class="score">{row["score"]:.3f}</td><td>{interval_text(row)}</td><td>{_p(row["p_holm"])}</td>'
            f'<td class="m">{same}</td><td class="name">{_finding(row)}</td></tr></tbody>'
        )
    return f'<div class="wide"><table class="findings"><thead><tr>{head}</tr></thead>{lines}</table></div>'


def _p(p: float) -> str:
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


def _spread(row: Row) -> str:
    """Of a distance between the farthest of several groups, which has no direction."""
    said = (f'<b class="warn">{both("detected", "constaté")}</b>' if row["detected"]
            else both("not detected", "non constaté"))  # fmt: skip
    ends = sorted(row["groups"].items(), key=lambda pair: float(pair[1]))
    (low, least), (high, most) = ends[0], ends[-1]
    return said + ' <span class="soft">(' + both("lowest", "le plus bas") + (
        f" {breakable(low)} {number(least)}, " + both("highest", "le plus haut") + f" {breakable(high)} {number(most)})"
    ) + "</span>"


def _finding(row: Row) -> str:
    if row.get("groups"):
        return _spread(row)
    if row["detected"]:
        high, equal = float(row["score"]) > 0, row.get("adjusted_interval")
        said = '<b class="warn">' + both("detected", "constaté") + "</b>, " + both(
            "higher for the former" if high else "lower for the former",
            "plus haut pour les premiers" if high else "plus bas pour les premiers",
        )
        if equal and equal[0] <= 0.0 <= equal[1]:
            said += ' <span class="soft">' + both(
                "(no longer clear of 0 at equal frequency, age and length of the names)",
                "(ne se distingue plus de 0 à fréquence, âge et longueur de prénoms égaux)",
            ) + "</span>"
        return said
    if row.get("smallest_detectable") is None:
        return both("nothing to test: all answers agree", "rien à tester : toutes les réponses concordent")
    least = number(row["smallest_detectable"])
    return both("not detected", "non constaté") + ' <span class="soft">' + both(
        f"(a true gap of {least} would have been, with probability 80 %)",
        f"(un écart réel de {least} l'aurait été, avec une probabilité de 80 %)",
    ) + "</span>"
