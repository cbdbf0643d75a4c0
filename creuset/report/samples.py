"""The part of a page in which samples are looked at: a list, a search, filters, and one sample whole. No torch here.

The rows come packed in the page; assets/browse.js unpacks those of the chosen task and draws what is in sight.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from creuset.report.blocks import Para, Span, Widget, line
from creuset.report.html import render
from creuset.report.language import Text
from creuset.report.markup import Markup, el, inner
from creuset.report.page import ASSETS, embed, embed_packed
from creuset.report.table import number

Row = Mapping[str, Any]
SCRIPTS = (ASSETS / "browse.js",)
STYLES = (ASSETS / "browse.css",)
MOST = 20_000       # samples of a task in a page: more would make it slow to open
HIDDEN = ("prompt", "prompts", "choices", "pairs", "outcomes", "answer", "gold", "text")
_WORDS = {
    "prompt": Text("asked", "demandé"), "reply": Text("reply", "réponse"),
    "reasoning": Text("reasoning", "raisonnement"),
    "answer": Text("answer taken", "réponse retenue"), "gold": Text("right answer", "réponse juste"),
    "verdict": Text("verdict", "constat"), "right": Text("right", "juste"), "wrong": Text("wrong", "faux"),
    "failed": Text("call failed", "appel échoué"), "nothing": Text("no answer found", "aucune réponse trouvée"),
    "none": Text("not scored", "non noté"), "choices": Text("choices", "choix"),
    "continuation": Text("continuation", "suite"),
    "tokens": Text("tokens", "jetons"), "attempts": Text("attempts", "essais"), "empty": Text("(empty)", "(vide)"),
    "hidden": Text("hidden", "masqué"), "text": Text("text", "texte"),
    "unpacking": Text("unpacking ...", "ouverture ..."),
    "hidden_why": Text("The questions of this task are harmful: they and the answers are not shown.",
                   "Les questions de cette épreuve sont nuisibles : ni elles ni les réponses ne sont montrées."),
    "none_here": Text("No sample is like that.", "Aucun échantillon ne correspond."),
}  # fmt: skip
SPREAD = Text(
    "For pages to open, some tasks have not all their samples here, but evenly spread ones; the files of samples have "
    "all.",
    "Pour que la page s'ouvre, certaines épreuves n'ont pas ici tous leurs échantillons, mais une partie également "
    "répartie ; les fichiers d'échantillons les ont tous.",
)
KEYS = Text("Keys: / to search, j and k or the arrows to move.",
            "Touches : / pour chercher, j et k ou les flèches pour parcourir.")
TITLE = Text("Samples", "Échantillons")
FILTERS = (
    ("all", Text("all", "tous")), ("wrong", Text("wrong", "faux")), ("right", Text("right", "justes")),
    ("failed", Text("failed", "échoués")),
    ("unextracted", Text("no answer found", "sans réponse trouvée")),
)  # fmt: skip


def samples_browser(
    samples: Mapping[str, Sequence[Row]],
    *,
    harmful: bool = False,
    filters: Sequence[tuple[str, Text]] = FILTERS,
    words: Mapping[str, Text] | None = None,
) -> list[Widget]:
    """The browser, for a page with SCRIPTS and STYLES; nothing where there are no samples.

    Of a task with more than MOST samples the page has that many, evenly spread; the files of samples have all.
    """
    if not samples:
        return []
    counts = {name: len(rows) for name, rows in samples.items()}
    samples = {name: spread(rows, MOST) for name, rows in samples.items()}
    cut = ", ".join(f"{n}: {number(MOST)} / {number(count)}" for n, count in counts.items() if count > MOST)
    options = [el("option", f"{name} ({number(len(rows))})", value=name) for name, rows in samples.items()]
    pressed = [el("button", said, type="button", data_filter=name, aria_pressed="false" if i else "true")
               for i, (name, said) in enumerate(filters)]
    said = {name: (text.en, text.fr) for name, text in {**_WORDS, **(words or {})}.items()}
    return [Widget(inner((
        el("section", el("h2", TITLE), el("p", KEYS, cls="soft"),
           render([Para(line(SPREAD, Span(f" {cut}.")), "note")]) if cut else None,
           el("div", el("select", options, id="task", aria_label=Text("Task", "Épreuve")), pressed,
              el("input", id="seek", type="search", placeholder=Text("search", "chercher")),
              el("span", id="count", cls="soft", role="status"), cls="tools"),
           el("div", el("div", el("div", cls="room"), id="list", tabindex=0, role="listbox", aria_label=TITLE),
              el("div", id="detail", tabindex=0, role="region", aria_label=Text("One sample", "Un échantillon")),
              cls="split"),
           el("noscript", "The samples need JavaScript."), id="browse"),
        embed("words", said),
        Markup("".join(embed_packed(f"rows-{name}", [_shown(row, harmful=harmful) for row in rows])
                       for name, rows in samples.items())),
    )))]


def spread(rows: Sequence[Row], most: int) -> Sequence[Row]:
    """At most `most` of the rows, in their order, at even distances: every kind of sample keeps its share."""
    return rows if len(rows) <= most else [rows[i * len(rows) // most] for i in range(most)]


def _shown(row: Row, *, harmful: bool) -> Row:
    if row.get("hidden") and not harmful:
        return {k: v for k, v in row.items() if k not in HIDDEN}
    asked = any(k in row for k in ("prompt", "prompts", "pairs"))
    return {k: v for k, v in row.items() if k != "hidden"} if asked else row
