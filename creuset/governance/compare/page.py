"""One HTML page of a scorecard, readable without its script.

The table is written here; the script (static/rank.js, page.js, choices.js) adds the reader's weights and volume, the
plots and the details of a cell.
"""

from collections.abc import Iterator
from pathlib import Path

from creuset.governance.compare.card import EVIDENCE, GROUPS, WEIGHED, Cell, Row, Scorecard
from creuset.governance.compare.rank import DRAWS, best, weighable
from creuset.report.blocks import Block, Bullets, Para, Section, Span, Widget, line
from creuset.report.language import Text
from creuset.report.markup import Markup, el, inner
from creuset.report.page import embed
from creuset.report.page import page as whole_page

STATIC = Path(__file__).parent / "static"
SCRIPTS = tuple(STATIC / f"{name}.js" for name in ("rank", "page", "choices"))
KINDS = (
    ("measured", Text("measured", "mesuré"), Text("by this tool, on this system", "par cet outil, sur ce système")),
    ("estimated", Text("estimated", "estimé"),
     Text("reckoned from other figures", "calculé d'après d'autres chiffres")),
    ("reported", Text("reported", "rapporté"), Text("a figure published by others", "un chiffre publié par d'autres")),
    ("declared", Text("declared", "déclaré"), Text("a practice, by its source", "une pratique, selon sa source")),
    ("unknown", Text("unknown", "inconnu"),
     Text("never a zero unless you say so", "jamais zéro, sauf si vous le dites")),
)


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


def render(card: Scorecard) -> str:
    """The whole page."""
    kinds = tuple(line(Span(said, tone=kind), Span(why, tone="soft")) for kind, said, why in KINDS)
    blocks: list[Block] = [
        Para(line(f"{card.made} · ", _size(card)), "soft"),
        *([Para(line(Text(card.remark.en, card.remark.fr)), "note")] if card.remark else []),
        Bullets(kinds, "legend"), *_ranking(card), _table(card),
        Section(Text("How it is reckoned", "Mode de calcul"), (Bullets(tuple(line(rule) for rule in RULES)),)),
        Section(Text("What this was made from", "Sources de ce document"),
                (Bullets(tuple(line(source) for source in card.sources), "soft"),)),
        Widget(inner((el("aside",
                         el("button", Text("Close", "Fermer"), id="close", type="button"), el("div", id="facts"),
                         id="detail", hidden=True, aria_live="polite"), embed("card", card.as_json())))),
    ]
    return whole_page(card.title, blocks, scripts=SCRIPTS, styles=[STATIC / "page.css"], kind="scorecard")


def _size(card: Scorecard) -> Text:
    unknown = sum(c.kind == "unknown" for r in card.rows for c in r.cells)
    cells = sum(len(r.cells) for r in card.rows)
    return Text(
        f"{len(card.systems)} systems, {len(card.rows)} rows; {unknown:,} of {cells:,} cells are unknown",
        f"{len(card.systems)} systèmes, {len(card.rows)} lignes ; {number(unknown, 'count', 'fr')} cases sur "
        f"{number(cells, 'count', 'fr')} sont inconnues",
    )


AMOUNTS = (
    ("requests", Text("requests a month", "requêtes par mois"), 1),
    ("input_tokens", Text("tokens in, each", "jetons en entrée"), 1),
    ("output_tokens", Text("tokens out, each", "jetons en sortie"), 1),
    ("cached_share", Text("% of the input from a cache", "% d'entrée relue d'un cache"), 100),
    ("batch_share", Text("% of the requests as a batch", "% des requêtes par lot"), 100),
)  # fmt: skip
MISSING = (
    ("ignore", Text("left out of the total", "écarté du total")), 
    ("worst", Text("counted as the worst", "compté au pire")),
    ("interval", Text("kept open: from worst to best", "laissé ouvert : du pire au mieux")),
)


def _choices(card: Scorecard, used: set[str]) -> Markup:
    """What the reader chooses: weights, what the unknown counts, and a volume."""
    sliders = [
        el("label", el("i", cls=f"mark g{i}"), el("span", Text(*GROUPS[g])),
           el("input", type="range", name=g, min=0, max=10, step=1, disabled=g not in used), el("output"),
           cls="weight" if g in used else "weight empty")
        for i, g in enumerate(WEIGHED)
    ]
    missing = [el("label", el("input", type="radio", name="missing", value=value, checked=value == "ignore"), " ", said)
               for value, said in MISSING]
    shared = el("label", el("input", type="checkbox", id="shared"), " ",
                Text("only rows known for every system shown", "seulement les lignes connues de tous"))
    amounts = [
        el("label", el("input", type="number", data_volume=name, min=0, max=100 if by == 100 else None, step="any",
                       value=f"{card.volume[name] * by:g}"), el("span", said))
        for name, said, by in AMOUNTS
    ] if card.volume else []
    return el(
        "div", sliders, el("p", el("button", Text("Equal weights", "Poids égaux"), id="equal", type="button")),
        el("fieldset", el("legend", Text("What is unknown is", "L'inconnu est")), missing, shared, cls="lines"),
        el("fieldset", el("legend", Text("Your volume", "Votre volume")), amounts, cls="amounts"), cls="panel",
    )


INTRO = Text(
    "Nobody else can weigh these for you: the weights are equal until you move them, and the address of this page "
    "keeps yours. A place such as 1–3 says that the systems cannot be told apart: the mark on a bar is the "
    "interval of its total, the bracket below it what the unknown leaves open.",
    "Personne ne peut peser à votre place : les poids sont égaux tant que vous ne les changez pas, et l'adresse de "
    "la page garde les vôtres. Une place comme 1–3 dit que les systèmes ne sont pas départagés : la marque sur une "
    "barre est l'intervalle de son total, le crochet dessous ce que l'inconnu laisse ouvert.",
)
OVER = Text(
    f"{DRAWS:,} weightings, spread evenly over all there are: dark, how often a system is surely first; light, how "
    "often nobody is surely before it; of the groups in which something is known of one of them. Your weights do "
    "not matter here, your other choices do.",
    f"{number(DRAWS, 'count', 'fr')} pondérations, réparties sur toutes celles qui existent : en foncé, la part où "
    "un système est sûrement premier ; en clair, où nul n'est sûrement devant lui ; sur les groupes où l'on sait "
    "quelque chose de l'un d'eux. Vos poids n'y jouent pas, vos autres choix si.",
)


def _ranking(card: Scorecard) -> list[Block]:
    used = {r.group for r in card.rows if weighable(r)}
    options = [
        el("option", GROUPS[g][0], value=g, data_en=GROUPS[g][0], data_fr=GROUPS[g][1], data_names="text")
        for g in WEIGHED if g in used
    ]
    boxes = [el("label", el("input", type="checkbox", name="system", value=i, checked=True), " ", s.name)
             for i, s in enumerate(card.systems)]
    plots = (
        el("div", cls="panel", id="ranking"),
        el("h2", Text("Whatever the weights: who is first?", "Quels que soient les poids : qui est premier ?")),
        el("p", OVER, cls="soft"), el("div", cls="panel", id="firsts"),
        el("h2", Text("How much does one weight decide?", "Combien un poids décide-t-il ?")),
        el("p", el("label", Text("Weight that moves", "Poids qui varie"), ": ", el("select", options, id="plot")),
           cls="control"),
        el("div", cls="panel", id="sensitivity"),
    )
    without = el("noscript", el("p", Text("Weights and plots need JavaScript; the table below does not.",
                                          "Poids et graphiques demandent JavaScript ; le tableau, non.")))
    chosen = el("div", _choices(card, used), el("div", plots), cls="two")
    return [Section(Text("Your weights", "Vos poids"), (
        Para(line(INTRO), "soft"), Widget(inner((without, el("div", boxes, cls="choices"), chosen))),
    ))]


GREEN = Text(
    "Green: the best of its row, or not to be told from it by its 95 % interval. Press a cell, or go "
    "there with the arrow keys and press Enter, for source, date, load and caveat.",
    "En vert : le meilleur de la ligne, ou ce que son intervalle à 95 % n'en distingue pas. Appuyez "
    "sur une case, ou allez-y avec les flèches puis Entrée, pour source, date, charge et réserves.",
)


def _table(card: Scorecard) -> Section:
    head = [el("th", s.name, el("small", s.provider), scope="col", data_c=i) for i, s in enumerate(card.systems)]
    table = el("table", el("thead", el("tr", el("th", scope="col"), head)), el("tbody", _lines(card)), id="table")
    return Section(Text("Scorecard", "Tableau"), (Para(line(GREEN), "soft"), Widget(el("div", table, cls="wide"))))


def _lines(card: Scorecard) -> Iterator[Markup]:
    first = True
    for at, (group, said) in enumerate(GROUPS.items()):
        rows = [(index, row) for index, row in enumerate(card.rows) if row.group == group]
        if not rows:
            continue
        if group in EVIDENCE:           # the script folds it; without one, all is there
            words: object = el("button", Text(*said), type="button", data_group=group, aria_expanded="true")
        else:
            words = el("i", cls=f"mark g{at}"), Text(*said)
        yield el("tr", el("th", el("span", words), scope="colgroup", colspan=len(card.systems) + 1), cls="group")
        for index, row in rows:
            yield _row(index, row, first)
            first = False


def _row(index: int, row: Row, first: bool) -> Markup:
    marks = best(row.scale, row.cells) if row.scale and not row.why_unranked else [False] * len(row.cells)
    cells = [
        el("td", _cell(c, row), cls=f"{c.kind} best" if marks[i] else c.kind, data_r=index, data_c=i,
           tabindex=0 if first and i == 0 else -1)
        for i, c in enumerate(row.cells)
    ]
    unit = (" ", el("small", row.unit)) if row.unit in NAMED_UNITS else None
    why = (el("br"), el("small", Text(row.why_unranked, WHY_FR[row.why_unranked]))) if row.why_unranked else None
    label = el("th", Text(row.label.en, row.label.fr), unit, why, scope="row")
    return el("tr", label, cells, cls="" if weighable(row) else "unranked", data_of=row.group)


NAMED_UNITS = ("tokens/s", "kWh", "FLOP", "nats", "rating")

WHY_FR = {
    "not weighed: the systems were asked different data": "non pondéré : données différentes",
    "not weighed: the systems were asked different prompts": "non pondéré : questions différentes",
    "not weighed: the systems were asked different samples": "non pondéré : échantillons différents",
    "not weighed: the systems were asked under different loads": "non pondéré : charges différentes",
    "not weighed: scores of the base model, not of what is served":
        "non pondéré : scores du modèle de base, non de ce qui est servi",
}


def _cell(cell: Cell, row: Row) -> Markup:
    if cell.words is not None:
        return inner(cell.words)        # a probe's value is for programs: people read the word
    assert cell.value is not None
    said = inner(Text(number(cell.value, row.unit, "en"), number(cell.value, row.unit, "fr")))
    if cell.low is None or cell.high is None:
        return said
    ends = [f"[{number(cell.low, row.unit, lang)} – {number(cell.high, row.unit, lang)}]" for lang in ("en", "fr")]
    return inner((said, el("small", Text(*ends))))


RULES = (
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
