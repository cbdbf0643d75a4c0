"""From the records in a dossier's folder to its documents: a pure function of the folder, its date and languages.

`creuset verify` calls it again and compares: that is the proof that no figure was edited.
"""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from creuset.core.sentences import sentence
from creuset.governance.dossier.answers import Answer, questions, read
from creuset.governance.dossier.facts import Facts, gather
from creuset.governance.dossier.figure import Figure
from creuset.governance.dossier.form import Filler, Form, chosen
from creuset.governance.dossier.formats import bom, cards, croissant
from creuset.governance.dossier.page import FormSection, Item, Page, Status
from creuset.governance.dossier.records import OPERATOR, Shelf
from creuset.report import markdown, pdf
from creuset.report.blocks import Grid, Line, Para, Span, plain, spans
from creuset.report.language import Lang, date, dated, in_language, language_name, say, show
from creuset.report.page import page as whole_page

FIGURES = "figures.json"
FORMATS = ("html", "md", "pdf")


@dataclass(frozen=True, slots=True)
class Made:
    """What was written, and how complete it is."""

    completeness: dict[str, dict[str, Any]]  # form -> {fields..., recipients}
    to_complete: list[str]  # keys of unanswered questions
    figures: int


def compose(folder: Path, *, names: Sequence[str], langs: Sequence[Lang], day: str, version: str,
            formats: Sequence[str] = FORMATS) -> Made:  # fmt: skip
    """Write all documents into `folder`, which holds the records, in each of `formats`."""
    shelf = Shelf(folder)
    facts = gather(shelf)
    facts.texts["document.date"] = sentence("dossier.on_date", date=dated(day))
    answers = _answers(shelf, facts)
    deployed = shelf.endpoint is not None
    forms = chosen(names, deployed=deployed)
    completeness: dict[str, dict[str, Any]] = {}
    asked: dict[str, None] = {}  # what the pages print as TO COMPLETE
    for lang in langs:
        filler = Filler(facts, answers, lang)
        (folder / lang).mkdir(exist_ok=True)
        rows = []
        for form in forms:
            for recipient in form.recipients or ("",):
                page = _page(form, replace(filler, explain=form.explain), recipient, day, version)
                if form.public:
                    notice = _notice(form, replace(filler, public=True), day)
                    _write(folder / lang, replace(notice, links=_links(notice, langs, formats)), formats)
                    asked |= dict.fromkeys(key for s in notice.sections for i in s.items for key in i.open)
                    rows.append(((Span(notice.title, url=notice.id),), *[(Span("–"),)] * len(STATES)))
                _write(folder / lang, replace(page, links=_links(page, langs, formats)), formats)
                items = [i for s in page.sections for i in s.items]
                asked |= dict.fromkeys(key for item in items for key in item.open)
                state = count(items)
                completeness.setdefault(form.id, {})[recipient or "all"] = state
                counts = (f"{state['filled']} / {state['fillable']}", *(str(state[s] or "–") for s in STATES[1:]))
                rows.append(((Span(page.title, url=page.id),), *((Span(n),) for n in counts)))
        page = _contents(filler, asked, rows, day, version)
        _write(folder / lang, replace(page, links=_links(page, langs, formats)), formats)
    if not deployed and (not names or "croissant" in names or "data-card" in names):
        _json(folder / "croissant.json", croissant.document(facts, answers, day))
    if not deployed and (not names or "model-card" in names):
        _json(folder / "bom.cdx.json", bom.document(facts, answers, day, version))
    said = [
        asdict(f) | {"shown": {lang: show(f.value, f.style, lang) for lang in langs}} for f in facts.figures.values()
    ]
    _json(folder / FIGURES, {"figures": said})
    return Made(completeness, sorted(asked), len(said))


def _json(path: Path, body: Any) -> None:
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _answers(shelf: Shelf, facts: Facts) -> Mapping[str, Answer]:
    """The operator's answers, each of which becomes a figure: it too is a link to the record it is from."""
    record = shelf.first(role="operator")
    if record is None:
        return {}
    found = read(shelf.body(record))
    for key, answer in found.items():
        for lang, at in answer.at.items():
            facts.add(f"operator.{key}.{lang}", (record, at), style="auto" if answer.source else "text")
    if (grid := found.get("energy.grid")) and (energy := facts.figures.get("energy.kwh")):
        places = [(shelf.record(s.record), s.pointer) for s in energy.sources]
        facts.add("carbon.kg", *places, (record, grid.at["en"]), operation="carbon", style="g2")
    return found


STATES: tuple[Status, ...] = ("filled", "partly", "missing", "not_applicable", "elsewhere")


def count(items: Sequence[Item]) -> dict[str, int]:
    """Fields by what became of them, and their sum. Fillable are those that apply and that somebody here can know."""
    every: dict[str, int] = {state: sum(item.status == state for item in items) for state in STATES}
    return {**every, "fillable": every["filled"] + every["partly"] + every["missing"], "fields": len(items)}


def counted(state: Mapping[str, int], lang: Lang) -> str:
    """The counts in words: all fields are in one of them."""
    other = (say(lang, f"dossier.count_{key}", n=state[key]) for key in STATES[1:] if state[key])
    said = [say(lang, "dossier.complete", filled=state["filled"], fillable=state["fillable"]), *other]
    return ("; " if lang == "en" else " ; ").join([*said, say(lang, "dossier.count_fields", n=state["fields"])]) + "."


def _page(form: Form, filler: Filler, recipient: str, day: str, version: str) -> Page:
    lang = filler.lang
    sections = filler.sections(form, recipient)
    state = count([item for section in sections for item in section.items])
    title = form.title.of(lang)
    if recipient:
        title += " – " + say(lang, f"dossier.recipient_{recipient}")
    intro, lost = filler.paragraphs(form.intro.of(lang))
    head = (
        _about(filler, day, version),
        *(b for b in intro if isinstance(b, Para) and not lost),
        Para(plain(counted(state, lang)), "quiet"),
    )
    law = _law(filler, form, day)
    front = cards.front_matter(form.card, filler) if form.card else ""
    name = f"{form.id}-{recipient.lower()}" if recipient else form.id
    if form.public:
        name, title = f"{form.id}-annex", f"{title} – {say(lang, 'dossier.annex')}"
    page = Page(name, title, lang, head, sections, law, front)
    return Page(page.id, title, lang, head, sections, (*law, *_appendix(filler, page)), front)


def _notice(form: Form, filler: Filler, day: str) -> Page:
    """What can be published as it is: the words for people, and a date. The evidence is in the annex."""
    lang = filler.lang
    intro, lost = filler.paragraphs(form.intro.of(lang))
    dated_ = Para(plain(say(lang, "dossier.notice_of", date=date(day, lang))), "quiet")
    head = (*(b for b in intro if isinstance(b, Para) and not lost), dated_)
    return Page(form.id, form.title.of(lang), lang, head, filler.sections(form), (), public=True)


def _about(filler: Filler, day: str, version: str) -> Para:
    lang = filler.lang
    figures = filler.facts.figures
    model = figures["endpoint.url" if filler.facts.shelf.endpoint is not None else "model.sha256"]
    colon = " : " if lang == "fr" else ": "
    as_of = str(filler.facts.figures["law.as_of"].value)
    return Para(
        (
            Span(say(lang, "dossier.model").capitalize() + colon),
            Span(filler.facts.shelf.name, strong=True),
            Span(", sha256 " if filler.facts.shelf.endpoint is None else ", "),
            filler.figure(model),
            Span(". "),
            Span(say(lang, "dossier.made", date=date(day, lang), version=version) + ("; " if lang == "en" else " ; ")),
            Span(say(lang, "dossier.as_of", date=date(as_of, lang)) + "."),
        ),
        "note",
    )


def _law(filler: Filler, form: Form, day: str) -> tuple[FormSection, ...]:
    """The provisions that the form rests on, and what holds on the day of the document."""
    if not form.law:
        return ()
    lang, body = filler.lang, filler.facts.shelf.body(filler.facts.shelf.law)
    known = {row["id"]: row for row in (*body["threshold"], *body["provision"])}
    rows = []
    for name in form.law:
        row = known[name]
        basis = say(lang, f"dossier.{row['basis']}")
        rows.append((plain(row[lang]), _holds(filler, row, day), plain(f"{row['source'][lang]} ({basis})")))
    head = (_heads(lang, "provision")[0], say(lang, "dossier.standing", date=date(day, lang)), *_heads(lang, "source"))
    note = Para(plain(say(lang, "dossier.law_intro", date=date(body["as_of"], lang))), "quiet")
    return (FormSection(say(lang, "dossier.law"), (note, Grid(head, tuple(rows), small=True)), ()),)


def _heads(lang: Lang, *names: str) -> tuple[str, ...]:
    return tuple(say(lang, f"dossier.{name}") for name in names)


def _holds(filler: Filler, row: Mapping[str, Any], day: str) -> Line:
    """The value of a threshold, or which side of its date `day` is on."""
    figure, lang = filler.facts.figures.get(f"law.{row['id']}"), filler.lang
    if figure is None:
        return plain("–")
    if "value" in row:
        return (filler.figure(figure), *([Span(" FLOP")] if row["unit"] == "FLOP" else []))
    on = str(figure.value)
    key = (
        "published"
        if "published" in row
        else "applies"
        if "applies" in row and on <= day
        else "applies_later"
        if "applies" in row
        else "until_over"
        if on < day
        else "until"
    )
    before, after = say(lang, f"dossier.{key}", date="\0").split("\0")
    return tuple(s for s in (Span(before), filler.figure(figure), Span(after)) if s.text)


def _appendix(filler: Filler, page: Page) -> tuple[FormSection, ...]:
    """Where each figure of the page was read, and the hashes of those records."""
    lang, facts = filler.lang, filler.facts
    used = {s.anchor for s in spans(page.blocks())} - {""}
    figures = [f for f in facts.figures.values() if f.anchor in used]
    rows = _places(figures, lang)
    cited = {s.record for f in figures for s in f.sources}
    records = [r for r in facts.shelf.records if r.id in cited]
    hashes = [
        (plain(r.id), plain(f"{r.kind} {r.name}".strip() or "–"), plain(r.file), (Span(r.sha256, code=True),))
        for r in records
    ]
    return (
        FormSection(
            say(lang, "dossier.records"),
            (
                Para(plain(say(lang, "dossier.records_intro")), "quiet"),
                Grid(
                    _heads(lang, "record", "artifact", "file", "hash"),
                    tuple(hashes),
                    small=True,
                    anchors=tuple(r.id for r in records),
                ),
                Grid(_heads(lang, "place", "figure"), rows, small=True),
            ),
            (),
        ),
    )


def _places(figures: Sequence[Figure], lang: Lang) -> tuple[tuple[Line, ...], ...]:
    """A row for each object of a record, with the figures that are its fields; one for each computed figure."""
    rows: dict[str, list[tuple[Figure, str]]] = {}
    for figure in figures:
        places = [f"{s.record}{s.pointer or ' /'}" for s in figure.sources]
        if figure.operation == "read":
            parent, _, name = places[0].rpartition("/")
            if parent.endswith("/interval"):
                parent, name = parent.removesuffix("/interval"), f"interval/{name}"
            rows.setdefault(parent, []).append((figure, name))
        else:
            shown = places if len(places) <= 3 else [*places[:2], "…", places[-1]]
            what = figure.operation + (f" ({len(places)})" if len(places) > 1 else "")
            rows.setdefault(", ".join(shown), []).append((figure, what))
    made = []
    for place, found in rows.items():
        line: list[Span] = []
        for figure, name in found:
            value = show(figure.value, figure.style, lang)
            line += [Span("; ")] if line else []
            line += [
                Span(figure.anchor, mark=figure.anchor),
                Span(f" {name} ", name=True),
                Span(value if len(value) <= 60 else value[:57] + "…", name=True),
            ]
        made.append(((Span(place, name=True),), tuple(line)))
    return tuple(made)


def _contents(filler: Filler, asked: Container[str], rows: list[Any], day: str, version: str) -> Page:
    """The page that lists the others, and what is left to ask the operator."""
    lang = filler.lang
    head = _heads(lang, "document", "state", *(f"state_{s}" for s in STATES[1:]))
    open_ = [q for q in questions().values() if q.key in asked]
    sections = [FormSection(say(lang, "dossier.contents"), (Grid(head, tuple(rows)),), ())]
    if open_:
        left = tuple((plain(q.text.of(lang)), (Span(q.key, code=True),)) for q in open_)
        grid = Grid((say(lang, "dossier.to_complete"), OPERATOR), left)
        sections.append(FormSection(say(lang, "dossier.open"), (grid,), ()))
    page = Page(
        "index", f"Dossier – {filler.facts.shelf.name}", lang, (_about(filler, day, version),), tuple(sections), ()
    )
    return Page(page.id, page.title, lang, page.head, page.sections, _appendix(filler, page))


def _links(page: Page, langs: Sequence[Lang], formats: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """From a page: to the list of documents, its other language, and its other forms."""
    others = [
        (in_language(language_name(other), other).capitalize(), f"../{other}/{page.id}.html")
        for other in langs
        if other != page.lang
    ]
    index = [(say(page.lang, "dossier.contents"), "index.html")] if page.id != "index" and not page.public else []
    also = (("PDF", "pdf"), ("Markdown", "md"))
    return (*index, *others, *((words, f"{page.id}.{end}") for words, end in also if end in formats))


def _write(folder: Path, page: Page, formats: Sequence[str]) -> None:
    title, blocks, lang = page.title, page.blocks(), page.lang
    if "md" in formats:
        text = markdown.render(title, blocks, lang, front_matter=page.front_matter)
        (folder / f"{page.id}.md").write_text(text, encoding="utf-8")
    if "html" in formats:
        html = whole_page(title, blocks, lang=lang, alone=True, links=page.links, ours=not page.public)
        (folder / f"{page.id}.html").write_text(html, encoding="utf-8")
    if "pdf" in formats:
        (folder / f"{page.id}.pdf").write_bytes(pdf.render(title, blocks, lang, ours=not page.public))
