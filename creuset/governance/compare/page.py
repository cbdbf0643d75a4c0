"""One HTML page of a scorecard: no outside asset, a strict content policy, readable without its script.

The table is written here; the script (static/rank.js, page.js, choices.js) adds the reader's weights and volume, the
plots and the details of a cell.
The policy names the hashes of the one style and the one script: nothing else runs or loads.
"""

import base64
import hashlib
import json
from html import escape
from pathlib import Path

from creuset.governance.compare.card import EVIDENCE, GROUPS, WEIGHED, Cell, Row, Scorecard
from creuset.governance.compare.rank import DRAWS, best, weighable
from creuset.report.language import Text

STATIC = Path(__file__).parent / "static"


def both(en: str, fr: str) -> str:
    """The words in both languages; the style sheet shows that of the page."""
    same = f"{escape(en)}"
    return same if en == fr else f'<span lang="en">{escape(en)}</span><span lang="fr">{escape(fr)}</span>'


def number(value: float, unit: str, lang: str) -> str:
    """`0.8731` share -> `87.3 %`; seconds below one in ms; money with two decimals; French with comma and spaces."""
    if unit in ("share", "percent"):
        text = f"{100 * value if unit == 'share' else value:.1f} %"
    elif unit == "s":
        text = f"{1000 * value:,.0f} ms" if value < 1 else f"{value:,.2f} s"
    elif unit in ("USD", "EUR", "GBP", "CNY"):
        text = f"{value:,.2f}"
    elif unit in ("ratio", "bits", "nats"):
        text = f"{value:.3f}"
    else:
        text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text if lang == "en" else text.translate({ord(","): "\u202f", ord("."): ","})


def policy(style: str, script: str) -> str:
    """The content policy: nothing but this style and this script."""
    def named(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {named(style)}; script-src {named(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def render(card: Scorecard) -> str:
    """The whole page."""
    style = (STATIC / "page.css").read_text(encoding="utf-8")
    script = "".join((STATIC / f"{name}.js").read_text(encoding="utf-8") for name in ("rank", "page", "choices"))
    held = json.dumps(card.as_json(), ensure_ascii=False).replace("<", "\\u003c")
    title = both(card.title.en, card.title.fr)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy(style, script)}">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(card.title.en)}</title>
<style>{style}</style></head><body>
<header><h1>{title}</h1><div><button id="lang" type="button">Français</button>
<button id="theme" type="button">{both("Light / dark", "Clair / sombre")}</button></div>
<p>{escape(card.made)} · {_size(card)}</p></header>
<main>{_remark(card)}{_legend()}{_ranking(card)}{_table(card)}{_rules()}</main>
<footer>{_sources(card)}</footer>
<aside id="detail" hidden aria-live="polite"><button id="close" type="button">{both("Close", "Fermer")}</button>
<div id="facts"></div></aside>
<script type="application/json" id="card">{held}</script>
<script>{script}</script></body></html>
"""


def _size(card: Scorecard) -> str:
    kinds = [sum(c.kind == "unknown" for r in card.rows for c in r.cells), sum(len(r.cells) for r in card.rows)]
    return both(
        f"{len(card.systems)} systems, {len(card.rows)} rows; {kinds[0]:,} of {kinds[1]:,} cells are unknown",
        f"{len(card.systems)} systèmes, {len(card.rows)} lignes ; {number(kinds[0], 'count', 'fr')} cases sur "
        f"{number(kinds[1], 'count', 'fr')} sont inconnues",
    )


def _remark(card: Scorecard) -> str:
    return f'<section><p class="remark">{both(card.remark.en, card.remark.fr)}</p></section>' if card.remark else ""


def _legend() -> str:
    kinds = (
        ("measured", "measured", "mesuré", "by this tool, on this system", "par cet outil, sur ce système"),
        ("estimated", "estimated", "estimé", "reckoned from other figures", "calculé d'après d'autres chiffres"),
        ("reported", "reported", "rapporté", "a figure published by others", "un chiffre publié par d'autres"),
        ("declared", "declared", "déclaré", "a practice, by its source", "une pratique, selon sa source"),
        ("unknown", "unknown", "inconnu", "never a zero unless you say so", "jamais zéro, sauf si vous le dites"),
    )
    items = "".join(
        f'<li><span class="{kind}">{both(en, fr)}</span><small>{both(why, pourquoi)}</small></li>'
        for kind, en, fr, why, pourquoi in kinds
    )
    return f'<section><ul class="legend">{items}</ul></section>'


AMOUNTS = (
    ("requests", "requests a month", "requêtes par mois", 1),
    ("input_tokens", "tokens in, each", "jetons en entrée", 1),
    ("output_tokens", "tokens out, each", "jetons en sortie", 1),
    ("cached_share", "% of the input from a cache", "% d'entrée relue d'un cache", 100),
    ("batch_share", "% of the requests as a batch", "% des requêtes par lot", 100),
)  # fmt: skip
MISSING = (
    ("ignore", "left out of the total", "écarté du total"), ("worst", "counted as the worst", "compté au pire"),
    ("interval", "kept open: from worst to best", "laissé ouvert : du pire au mieux"),
)


def _choices(card: Scorecard, used: set[str]) -> str:
    sliders = "".join(
        f'<label class="weight{"" if g in used else " empty"}"><i class="mark g{i}"></i>'
        f"<span>{both(*GROUPS[g])}</span>"
        f'<input type="range" name="{g}" min="0" max="10" step="1"{"" if g in used else " disabled"}><output></output>'
        "</label>"
        for i, g in enumerate(WEIGHED)
    )
    missing = "".join(
        f'<label><input type="radio" name="missing" value="{value}"{" checked" if value == "ignore" else ""}> '
        f"{both(en, fr)}</label>" for value, en, fr in MISSING
    )
    amounts = "".join(
        f'<label><input type="number" data-volume="{name}" min="0"{" max=100" if by == 100 else ""} step="any" '
        f'value="{card.volume[name] * by:g}"><span>{both(en, fr)}</span></label>' for name, en, fr, by in AMOUNTS
    ) if card.volume else ""
    return f"""<div class="panel">{sliders}
<p><button id="equal" type="button">{both("Equal weights", "Poids égaux")}</button></p>
<fieldset class="lines"><legend>{both("What is unknown is", "L'inconnu est")}</legend>{missing}
<label><input type="checkbox" id="shared"> {both("only rows known for every system shown",
                                                 "seulement les lignes connues de tous")}</label></fieldset>
<fieldset class="amounts"><legend>{both("Your volume", "Votre volume")}</legend>{amounts}</fieldset></div>"""


def _ranking(card: Scorecard) -> str:
    used = {r.group for r in card.rows if weighable(r)}
    options = "".join(
        f'<option value="{g}" data-en="{escape(GROUPS[g][0])}" data-fr="{escape(GROUPS[g][1])}">'
        f"{escape(GROUPS[g][0])}</option>" for g in WEIGHED if g in used
    )
    boxes = "".join(
        f'<label><input type="checkbox" name="system" value="{i}" checked> {escape(s.name)}</label>'
        for i, s in enumerate(card.systems)
    )
    intro = both(
        "Nobody else can weigh these for you: the weights are equal until you move them, and the address of this page "
        "keeps yours. A place such as 1–3 says that the systems cannot be told apart: the mark on a bar is the "
        "interval of its total, the bracket below it what the unknown leaves open.",
        "Personne ne peut peser à votre place : les poids sont égaux tant que vous ne les changez pas, et l'adresse de "
        "la page garde les vôtres. Une place comme 1–3 dit que les systèmes ne sont pas départagés : la marque sur une "
        "barre est l'intervalle de son total, le crochet dessous ce que l'inconnu laisse ouvert.",
    )
    over = both(
        f"{DRAWS:,} weightings, spread evenly over all there are: dark, how often a system is surely first; light, how "
        "often nobody is surely before it; of the groups in which something is known of one of them. Your weights do "
        "not matter here, your other choices do.",
        f"{number(DRAWS, 'count', 'fr')} pondérations, réparties sur toutes celles qui existent : en foncé, la part où "
        "un système est sûrement premier ; en clair, où nul n'est sûrement devant lui ; sur les groupes où l'on sait "
        "quelque chose de l'un d'eux. Vos poids n'y jouent pas, vos autres choix si.",
    )
    return f"""<section><h2>{both("Your weights", "Vos poids")}</h2><p class="soft">{intro}</p>
<noscript><p>{both("Weights and plots need JavaScript; the table below does not.",
                   "Poids et graphiques demandent JavaScript ; le tableau, non.")}</p></noscript>
<div class="choices">{boxes}</div>
<div class="two">{_choices(card, used)}<div><div class="panel" id="ranking"></div>
<h2>{both("Whatever the weights: who is first?", "Quels que soient les poids : qui est premier ?")}</h2>
<p class="soft">{over}</p><div class="panel" id="firsts"></div>
<h2>{both("How much does one weight decide?", "Combien un poids décide-t-il ?")}</h2>
<p class="control"><label>{both("Weight that moves", "Poids qui varie")}:
<select id="plot">{options}</select></label></p>
<div class="panel" id="sensitivity"></div></div></div></section>"""


def _table(card: Scorecard) -> str:
    head = "".join(
        f'<th scope="col" data-c="{i}">{escape(s.name)}<small>{escape(s.provider)}</small></th>'
        for i, s in enumerate(card.systems)
    )
    body, index = [], 0
    by_group: dict[str, list[tuple[int, Row]]] = {}
    for index, row in enumerate(card.rows):
        by_group.setdefault(row.group, []).append((index, row))
    first = True
    for at, (group, (en, fr)) in enumerate(GROUPS.items()):
        if group not in by_group:
            continue
        words = f'<i class="mark g{at}"></i>{both(en, fr)}'
        if group in EVIDENCE:           # the script folds it; without one, all is there
            words = f'<button type="button" data-group="{group}" aria-expanded="true">{both(en, fr)}</button>'
        body.append(f'<tr class="group"><th scope="colgroup" colspan="{len(card.systems) + 1}">'
                    f"<span>{words}</span></th></tr>")
        for index, row in by_group[group]:
            body.append(_row(index, row, first))
            first = False
    return f"""<section><h2>{both("Scorecard", "Tableau")}</h2>
<p class="soft">{both("Green: the best of its row, or not to be told from it by its 95 % interval. Press a cell, or go "
                      "there with the arrow keys and press Enter, for source, date, load and caveat.",
                      "En vert : le meilleur de la ligne, ou ce que son intervalle à 95 % n'en distingue pas. Appuyez "
                      "sur une case, ou allez-y avec les flèches puis Entrée, pour source, date, charge et réserves.")}
</p><div class="wide"><table id="table"><thead><tr><th scope="col"></th>{head}</tr></thead>
<tbody>{"".join(body)}</tbody></table></div></section>"""


def _row(index: int, row: Row, first: bool) -> str:
    marks = best(row.scale, row.cells) if row.scale and not row.why_unranked else [False] * len(row.cells)
    cells = "".join(
        f'<td class="{c.kind}{" best" if marks[i] else ""}" data-r="{index}" data-c="{i}" '
        f'tabindex="{0 if first and i == 0 else -1}">{_cell(c, row)}</td>'
        for i, c in enumerate(row.cells)
    )
    shown = "" if weighable(row) else ' class="unranked"'
    unit = f" <small>{escape(row.unit)}</small>" if row.unit in NAMED_UNITS else ""
    why = f"<br><small>{_why(row.why_unranked)}</small>" if row.why_unranked else ""
    label = both(row.label.en, row.label.fr)
    return f'<tr{shown} data-of="{row.group}"><th scope="row">{label}{unit}{why}</th>{cells}</tr>'


NAMED_UNITS = ("tokens/s", "kWh", "FLOP", "nats", "rating")

WHY_FR = {
    "not weighed: the systems were asked different data": "non pondéré : données différentes",
    "not weighed: the systems were asked different prompts": "non pondéré : questions différentes",
    "not weighed: the systems were asked different samples": "non pondéré : échantillons différents",
    "not weighed: the systems were asked under different loads": "non pondéré : charges différentes",
    "not weighed: scores of the base model, not of what is served":
        "non pondéré : scores du modèle de base, non de ce qui est servi",
}


def _why(why: str) -> str:
    return both(why, WHY_FR[why])


def _cell(cell: Cell, row: Row) -> str:
    if cell.words is not None:
        return both(cell.words.en, cell.words.fr)       # a probe's value is for programs: people read the word
    assert cell.value is not None
    said = both(number(cell.value, row.unit, "en"), number(cell.value, row.unit, "fr"))
    if cell.low is not None and cell.high is not None:
        ends = [f"[{number(cell.low, row.unit, lang)} – {number(cell.high, row.unit, lang)}]" for lang in ("en", "fr")]
        said += f"<small>{both(*ends)}</small>"
    return said


def _rules() -> str:
    rules = (
        Text("A share counts as itself (its complement where lower is better); scores that are best at 0 or at 50 by "
             "their distance from it; prices, times and rates by their ratio to the best system shown; words by the "
             "points of their scale: yes 1, partly 0.5, no 0. Any other answer is shown and never weighed.",
             "Une part compte pour elle-même (son complément si moins vaut mieux) ; un score idéal à 0 ou à 50, par sa "
             "distance ; prix, durées et débits, par rapport au meilleur système affiché ; les mots, par leurs "
             "points : oui 1, en partie 0,5, non 0. Toute autre réponse est affichée et jamais pondérée."),
        Text("A group's weight is shared equally by its rows that can be weighed and are known for somebody. What the "
             "unknown counts is your choice: left out, a total is the mean over what is known, and totals of systems "
             "with different coverage rest on different rows; as the worst, not telling is punished; kept open, a "
             "system is placed only where even its worst is before another's best. “Known” says how much of your "
             "weight lies on known cells. Systems measured here and systems only read about are ranked apart.",
             "Le poids d'un groupe se partage également entre ses lignes pondérables et connues pour quelqu'un. Ce que "
             "vaut l'inconnu est votre choix : écarté, un total est la moyenne du connu, et des totaux de couvertures "
             "différentes reposent sur des lignes différentes ; au pire, ne pas dire est puni ; laissé ouvert, un "
             "système n'est classé que si même son pire précède le mieux d'un autre. « Connu » dit quelle part de vos "
             "poids porte sur des cases connues. Systèmes mesurés ici et connus par écrit sont classés à part."),
        Text("Half the width of a total's interval is the root of the sum of the squared half-widths of its cells, as "
             "if they erred independently; a cell without an interval counts as exact, though published figures are "
             "not: a place among systems only read about is no certainty. Two systems are told apart only where "
             "their totals differ by more than both halves together (root of the sum of squares).",
             "La demi-largeur de l'intervalle d'un total est la racine de la somme des carrés de celles de ses cases, "
             "comme si elles erraient indépendamment ; une case sans intervalle compte pour exacte, ce que les "
             "chiffres publiés ne sont pas : une place entre systèmes connus par écrit n'est pas une certitude. Deux "
             "systèmes ne sont départagés que si leurs totaux diffèrent de plus que les deux demi-largeurs réunies "
             "(racine de la somme des carrés)."),
        Text("A month is list price times volume, or busy hours at the measured rate times what the operator states "
             "that an hour costs; where no price of cached input or of a batch is listed, the full one counts. "
             "Nobody's costs are assumed.",
             "Un mois est le prix affiché multiplié par le volume, ou les heures de travail au débit mesuré par ce que "
             "l'exploitant dit qu'une heure coûte ; sans prix affiché pour le cache ou les lots, le plein tarif "
             "compte. Aucun coût n'est supposé."),
        Text("Measured and published scores are never in one row: prompts, answer extraction and versions differ. "
             "Overlapping intervals of two systems asked the same samples may still differ: a paired comparison "
             "of their two evaluations says.",
             "Scores mesurés et publiés ne partagent jamais une ligne : questions, extraction des réponses et versions "
             "diffèrent. Deux systèmes aux intervalles qui se recouvrent peuvent pourtant différer : une comparaison "
             "appariée de leurs deux évaluations le dit."),
    )
    items = "".join(f"<li>{both(r.en, r.fr)}</li>" for r in rules)
    return f'<section><h2>{both("How it is reckoned", "Mode de calcul")}</h2><ul>{items}</ul></section>'


def _sources(card: Scorecard) -> str:
    items = "".join(f"<li>{escape(s)}</li>" for s in card.sources)
    return f'<h2>{both("What this was made from", "Sources de ce document")}</h2><ul>{items}</ul>'
