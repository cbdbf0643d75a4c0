"""Forms are data: `forms/*.toml`. This is the one engine that fills them.

A form has sections of fields. A field says where its contents come from:
  say      words in both languages; {name} is a figure or a word of `Facts`, {operator.key} an answer of the operator
  also     more words, each only `if` a fact is known
  tables   tables of `Facts`; "?name" is shown where there is one and not missed elsewhere
  ask      keys of questions.toml; an unanswered one is printed as TO COMPLETE
  when     the field applies only where this fact is known; `otherwise` says why it does not
  needs    facts without which the field is not filled, whatever else is known
  use      a field of common.toml to begin with
  elsewhere  true where neither the records nor the operator of the model can know: the provider of a system fills it
  to       the recipients that get the field, of those that the form has
  own      true where only the maker of the model can say it: the field is not in a dossier about somebody else's API
  public   of a form that the public reads: what its notice has in the place of the above; `skip` leaves the field to
           the annex, which has everything
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError
from creuset.core.sentences import Sentence, has
from creuset.governance.audit.how_to_read import how_to_read
from creuset.governance.dossier.answers import Answer, questions
from creuset.governance.dossier.facts import Cell, Facts, Table
from creuset.governance.dossier.figure import Figure
from creuset.governance.dossier.page import FormSection, Item, Status
from creuset.report.blocks import Block, Grid, Line, Para, Span, plain
from creuset.report.language import Lang, Text, date, in_language, language_name, say, show, words_of

FOLDER = Path(__file__).parent / "forms"
SLOT = re.compile(r"\{([\w.\-]+)\}")
KEYS = {"id", "en", "fr", "ref", "to", "say", "also", "tables", "ask", "when", "otherwise", "needs", "elsewhere", "own",
        "public"}  # fmt: skip
COMMON = "common.toml"


@dataclass(frozen=True, slots=True)
class Form:
    id: str
    title: Text
    intro: Text
    law: tuple[str, ...]  # ids of law.toml
    recipients: tuple[str, ...]  # () where everybody gets the same
    sections: tuple[dict[str, Any], ...]
    card: str = ""  # model, data: a Hugging Face card with front matter
    subject: str = "own"  # own: of a model that we made; any: also of an API that we deploy; deployed: of such alone
    public: bool = False  # a notice that can be published as it is, and an annex with the evidence
    explain: bool = False  # each measure is explained to readers who did not write the tests

    def fields(self) -> Iterator[dict[str, Any]]:
        for section in self.sections:
            yield from section.get("field", ())

    def asks(self) -> set[str]:
        return {key for field in self.fields() for key in asked(field)}


def asked(field: Mapping[str, Any]) -> list[str]:
    """Keys of the questions that a field needs, optional ones included."""
    keys = [key.lstrip("?") for key in field.get("ask", ())]
    texts = [field.get("say", {}), *field.get("also", ())]
    slots = [name for text in texts for lang in ("en", "fr") for name in SLOT.findall(text.get(lang, ""))]
    return list(dict.fromkeys(keys + [s.removeprefix("operator.") for s in slots if s.startswith("operator.")]))


@cache
def forms() -> dict[str, Form]:
    """All forms, in the order of their files."""
    found = {}
    common = tomllib.loads((FOLDER / COMMON).read_text(encoding="utf-8"))

    def whole(field: dict[str, Any]) -> dict[str, Any]:
        base = {"id": field["use"], **common[field["use"]]} if "use" in field else {}
        return base | {key: value for key, value in field.items() if key != "use"}

    for file in sorted(f for f in FOLDER.glob("*.toml") if f.name != COMMON):
        body = tomllib.loads(file.read_text(encoding="utf-8"))
        intro = body["intro"]
        form = Form(
            id=body["id"],
            title=Text(**body["title"]),
            law=tuple(body.get("law", ())),
            intro=Text(**(common["intro"][intro] if isinstance(intro, str) else intro)),
            recipients=tuple(body.get("recipients", "").split()),
            card=body.get("card", ""),
            subject=body.get("subject", "own"),
            public=body.get("public", False),
            explain=body.get("explain", False),
            sections=tuple({**s, "field": [whole(f) for f in s.get("field", ())]} for s in body["section"]),
        )
        for field in form.fields():
            assert set(field) <= KEYS, f"{file.name}: {field['id']} has {sorted(set(field) - KEYS)}"
            assert not (missing := [k for k in asked(field) if k not in questions()]), f"{file.name}: {missing}"
        found[form.id] = form
    return found


def chosen(names: Iterable[str], *, deployed: bool = False) -> list[Form]:
    """The forms of these names, all if there are none; `croissant` names a file that has no pages.

    `deployed`: of an API that somebody else provides; the documents of a model's maker cannot be had of it.
    """
    known = {name: form for name, form in forms().items() if form.subject in ("any", "deployed" if deployed else "own")}
    for name in names:
        files = [] if deployed else ["croissant"]
        if name not in (*known, *files):
            near = difflib.get_close_matches(name, [*known, *files], n=1)
            there = f"there are {', '.join((*known, *files))}"
            of = " of a model" if name in forms() and not deployed else " of somebody else's API" if deployed else ""
            hint = f"did you mean `{near[0]}`? {there}" if near else there
            raise ConfigError(f"`{name}` is not a form{of}", hint=hint)
    wanted = set(names)
    return [form for form in known.values() if not wanted or form.id in wanted]


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills fields in one language from facts and answers."""

    facts: Facts
    answers: Mapping[str, Answer]
    lang: Lang
    public: bool = False  # no links to records, keys or names that only we know
    explain: bool = False
    asks: bool = True  # False: what only an operator can say and has not said is left out

    def sections(self, form: Form, recipient: str = "") -> tuple[FormSection, ...]:
        made = []
        seen: dict[str, Line] = {}  # tables of this page, and the words that lead to them
        for section in form.sections:
            items = [
                self.item(field, seen)
                for field in section.get("field", ())
                if self._shown(field) and (not recipient or recipient in field.get("to", recipient).split())
            ]
            intro = [Para(self.line(section["say"][self.lang])[0])] if "say" in section else []
            items = [item for item in items if self.asks or item.blocks]
            if items or intro:
                made.append(FormSection(section[self.lang], tuple(intro), tuple(items)))
        return tuple(made)

    def _shown(self, field: Mapping[str, Any]) -> bool:
        if field.get("own") and self.facts.shelf.endpoint is not None:
            return False
        return not (self.public and field.get("public", {}).get("skip"))

    def item(self, field: Mapping[str, Any], seen: dict[str, Line]) -> Item:
        if self.public:
            field = {**field, "ref": "", **field.get("public", {})}
        to = tuple(field.get("to", "").split())

        def made(status: Status, blocks: Iterable[Block], open_: Iterable[str] = ()) -> Item:
            return Item(field["id"], field[self.lang], field.get("ref", ""), to, status, tuple(blocks), tuple(open_))

        known = self.facts.texts | self.facts.figures
        if field.get("elsewhere"):
            return made("elsewhere", [Para(plain(say(self.lang, "dossier.elsewhere")), "quiet")])
        if "when" in field and field["when"] not in known:
            reason = field["otherwise"][self.lang] if "otherwise" in field else say(self.lang, "dossier.below")
            why = self.line(reason)[0]
            lead = Span(say(self.lang, "dossier.not_applicable") + self.colon)
            return made("not_applicable", [Para((lead, *why), "quiet")])
        blocks: list[Block] = []
        lost: list[str] = [name for name in field.get("needs", ()) if name not in known]
        done = 0
        short: list[str] = []  # why scores do not fill the field
        if field.get("say"):
            words, missing = self.paragraphs(field["say"][self.lang])
            lost += missing
            blocks += [] if missing else words
            done += not missing
        for text in field.get("also", ()):
            if text.get("if", "") in known:
                words, missing = self.paragraphs(text[self.lang])
                blocks += [] if missing else words
        for name in field.get("tables", ()):
            if (key := name.lstrip("?")) in seen:
                blocks += [see] if (see := Para(seen[key], "quiet")) not in blocks else []
                done += any(not table.empty for table in self.facts.tables[key])
                short += [why for table in self.facts.tables[key] for why in table.short]
                continue
            tables = self.facts.tables.get(key, ())
            grids: list[Block] = [self.grid(t) for t in tables]
            if self.explain:
                grids = [*self._explained(tables, seen), *grids]
            if grids:
                seen[key] = self._see(field)
            blocks += grids
            done += any(not table.empty for table in tables)
            short += [why for table in tables for why in table.short]
            lost += [] if grids or name.startswith("?") else [key]
        open_ = [name.removeprefix("operator.") for name in lost if name.startswith("operator.")]
        for key in field.get("ask", ()):
            if answer := self.said_of(key.lstrip("?")):
                blocks += self.answer(key.lstrip("?"), answer)
                done += 1
            elif not key.startswith("?") and self.asks:
                open_.append(key)
        lost = [name for name in lost if not name.startswith("operator.")]
        blocks += [self._not_recorded(lost)] if lost else []
        blocks += [self._in_part(short)] if short else []
        open_ = list(dict.fromkeys(open_))
        blocks += [self._to_complete(key) for key in open_]
        whole = not lost and not open_ and not short
        status: Status = "filled" if done and whole else "partly" if done else "missing"
        return made(status, blocks, open_)

    @property
    def colon(self) -> str:
        return " : " if self.lang == "fr" else ": "

    def _see(self, field: Mapping[str, Any]) -> Line:
        before, after = say(self.lang, "dossier.see", field="\0").split("\0")
        return Span(before), Span(field[self.lang], jump=field["id"]), Span(after)

    def _not_recorded(self, lost: list[str]) -> Para:
        lead = Span(say(self.lang, "dossier.not_recorded"), strong=True)
        if not self.asks and not {"scores", "audit"} & set(lost):  # readers of a card do not know our keys
            return Para((lead, Span(".")), "missing")
        if lost == ["scores"]:
            return Para((lead, *plain(self.colon + say(self.lang, "dossier.no_evaluation"))), "missing")
        if all(name.startswith("audit") for name in lost):
            return Para((lead, *plain(self.colon + say(self.lang, "dossier.no_audit"))), "missing")
        names: list[Span] = [Span(self.colon)]
        for name in dict.fromkeys(lost):
            names += [Span(name, code=True), Span(", ")]
        return Para((lead, *names[:-1]), "missing")

    def _explained(self, tables: Iterable[Table], seen: dict[str, Line]) -> list[Block]:
        """What the figures mean, once a page, for readers who did not write the tests."""
        made: list[Block] = []
        for words in dict.fromkeys(how_to_read(task) for table in tables for task in table.tasks):
            if words is not None and words.en not in seen:
                seen[words.en] = plain(words.of(self.lang))
                made.append(Para(seen[words.en]))
        return made

    def _in_part(self, short: Iterable[str]) -> Para:
        lead = Span(say(self.lang, "dossier.in_part"), strong=True)
        why = ("; " if self.lang == "en" else " ; ").join(words_of(text, self.lang) for text in dict.fromkeys(short))
        return Para((lead, *plain(self.colon + why + ".")), "missing")

    def _to_complete(self, key: str) -> Para:
        lead = Span(say(self.lang, "dossier.to_complete"), strong=True)
        asks = Span(self.colon + questions()[key].text.of(self.lang))
        return Para((lead, asks) if self.public else (lead, asks, Span(" "), Span(key, code=True)), "missing")

    def paragraphs(self, text: str) -> tuple[list[Block], list[str]]:
        blocks: list[Block] = []
        lost: list[str] = []
        for part in text.strip().split("\n\n"):
            line, missing = self.line(part)
            lost += missing
            blocks.append(Para(line))
        return blocks, lost

    def line(self, text: str) -> tuple[Line, list[str]]:
        """The words with their slots filled, and the names of those that cannot be."""
        spans: list[Span] = []
        lost = []
        at = 0
        text = " ".join(text.split())
        for slot in SLOT.finditer(text):
            spans += plain(text[at : slot.start()])
            at = slot.end()
            name = slot.group(1)
            if name.startswith("operator."):
                answer = self.said_of(name.removeprefix("operator."))
                spans += self.quoted(name.removeprefix("operator."), answer) if answer else []
                lost += [] if answer else [name]
            elif name in self.facts.texts:
                spans.append(Span(words_of(self.facts.texts[name], self.lang)))
            elif name in self.facts.figures:
                spans.append(self.figure(self.facts.figures[name]))
            else:
                lost.append(name)
        spans += plain(text[at:])
        return tuple(s for s in spans if s.text), lost

    def said_of(self, key: str) -> Answer | None:
        """The operator's answer; a notice to the public has none in another language than its own."""
        answer = self.answers.get(key)
        return None if answer and self.public and answer.borrowed not in (None, self.lang) else answer

    def figure(self, figure: Figure) -> Span:
        shown = show(figure.value, figure.style, self.lang)
        anchor = "" if self.public else figure.anchor
        return Span(shown, anchor=anchor, code=bool(re.fullmatch(r"[0-9a-f]{40,64}", shown)))

    def grid(self, table: Table) -> Grid:
        return Grid(
            tuple(words_of(h, self.lang) for h in table.head),
            tuple(tuple(self.cell(c) for c in row) for row in table.rows),
            self._caption(table),
        )

    def cell(self, cell: Cell) -> Line:
        if isinstance(cell, Figure):
            return (self.figure(cell),)
        if isinstance(cell, tuple):
            between = " to " if self.lang == "en" else " à "
            return (self.figure(cell[0]), Span(between), self.figure(cell[1]))
        return plain(cell.of(self.lang)) if isinstance(cell, Sentence) else (Span(cell, name=cell != "–"),)

    def _caption(self, table: Table) -> str:
        notes = ". ".join(words_of(note, self.lang).rstrip(".") for note in table.notes)
        return f"{words_of(table.subject, self.lang)} {notes}".strip()

    def quoted(self, key: str, answer: Answer) -> list[Span]:
        """The operator's words in the middle of a sentence: a link to the file they are from."""
        words = " ".join(answer.words[self.lang].split())
        return [Span(words) if self.public else Span(words, anchor=self.said(key).anchor)]

    def said(self, key: str) -> Figure:
        return self.facts.figures[f"operator.{key}.{self.lang}"]

    def answer(self, key: str, answer: Answer) -> list[Block]:
        note = say(self.lang, "dossier.operator", date=date(answer.date, self.lang))
        if answer.borrowed not in (None, self.lang):
            given = in_language(language_name(str(answer.borrowed)), self.lang)
            note += ("; " if self.lang == "en" else " ; ") + say(self.lang, "dossier.other_language", spoken=given)
        if answer.source:
            note += ("; " if self.lang == "en" else " ; ") + say(self.lang, "dossier.from", source=answer.source)
        words = answer.words[self.lang].strip()
        if questions()[key].choices and has(f"dossier.choice_{words}"):
            words = say(self.lang, f"dossier.choice_{words}")
        parts = words.split("\n\n")
        if self.public:
            return [Para((Span(" ".join(part.split())),)) for part in parts]
        blocks: list[Block] = [Para((Span(" ".join(part.split()), said=True),)) for part in parts[:-1]]
        last = Span(" ".join(parts[-1].split()), said=True)
        return [*blocks, Para((last, Span(" ("), Span(note, anchor=self.said(key).anchor), Span(")")))]
