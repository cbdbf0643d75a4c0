"""Forms are data: `forms/*.toml`. This is the one engine that fills them.

A form has sections of fields. A field says where its contents come from:
  say      words in both languages; {name} is a figure or a word of `Facts`, {operator.key} an answer of the operator
  also     more words, each only `if` a fact is known
  tables   tables of `Facts`; "?name" is shown where there is one and not missed elsewhere
  ask      keys of questions.toml; an unanswered one is printed as TO COMPLETE
  when     the field applies only where this fact is known; `otherwise` says why it does not
  missing  words for where a table or a figure is not there: how to get it
  elsewhere  true where neither the records nor the operator of the model can know: the provider of a system fills it
  to       the recipients that get the field, of those that the form has
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
from creuset.dossier.answers import Answer, Question, questions
from creuset.dossier.facts import Cell, Facts, Table
from creuset.dossier.figure import Figure
from creuset.dossier.page import Block, Grid, Item, Line, Para, Section, Span, Status, plain
from creuset.dossier.words import LANGUAGE_NAMES, Lang, Text, date, label, show

FOLDER = Path(__file__).parent / "forms"
SLOT = re.compile(r"\{([\w.\-]+)\}")
KEYS = {"id", "en", "fr", "ref", "to", "say", "also", "tables", "ask", "when", "otherwise", "missing", "elsewhere"}


@dataclass(frozen=True, slots=True)
class Form:
    id: str
    title: Text
    intro: Text
    law: tuple[str, ...]                # ids of law.toml
    recipients: tuple[str, ...]         # () where everybody gets the same
    sections: tuple[dict[str, Any], ...]
    card: str = ""                      # model, data: a Hugging Face card with front matter

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
    for file in sorted(FOLDER.glob("*.toml")):
        body = tomllib.loads(file.read_text(encoding="utf-8"))
        form = Form(
            id=body["id"], title=Text(**body["title"]), intro=Text(**body["intro"]), law=tuple(body.get("law", ())),
            recipients=tuple(body.get("recipients", "").split()), sections=tuple(body["section"]),
            card=body.get("card", ""),
        )
        for field in form.fields():
            assert set(field) <= KEYS, f"{file.name}: {field['id']} has {sorted(set(field) - KEYS)}"
            assert not (missing := [k for k in asked(field) if k not in questions()]), f"{file.name}: {missing}"
        found[form.id] = form
    return found


def chosen(names: Iterable[str]) -> list[Form]:
    """The forms of these names, all if there are none; `croissant` names a file that has no pages."""
    known = forms()
    for name in names:
        if name not in known and name != "croissant":
            near = difflib.get_close_matches(name, [*known, "croissant"], n=1)
            there = f"there are {', '.join(known)}, croissant"
            raise ConfigError(f"`{name}` is not a form", hint=f"did you mean `{near[0]}`? {there}" if near else there)
    wanted = set(names)
    return [form for form in known.values() if not wanted or form.id in wanted]


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills fields in one language from facts and answers."""

    facts: Facts
    answers: Mapping[str, Answer]
    lang: Lang

    def open_questions(self) -> list[Question]:
        return [q for q in questions().values() if q.key not in self.answers and not q.optional]

    def sections(self, form: Form, recipient: str = "") -> tuple[Section, ...]:
        made = []
        for section in form.sections:
            items = [
                self.item(field) for field in section.get("field", ())
                if not recipient or recipient in field.get("to", recipient).split()
            ]
            intro = [Para(self.line(section["say"][self.lang])[0])] if "say" in section else []
            if items or intro:
                made.append(Section(section[self.lang], tuple(intro), tuple(items)))
        return tuple(made)

    def item(self, field: Mapping[str, Any]) -> Item:
        status, blocks = self._contents(field)
        to = tuple(field.get("to", "").split())
        return Item(field["id"], field[self.lang], field.get("ref", ""), to, status, tuple(blocks))

    def _contents(self, field: Mapping[str, Any]) -> tuple[Status, list[Block]]:
        if field.get("elsewhere"):
            return "elsewhere", [Para(plain(label("elsewhere", self.lang)), "quiet")]
        if "when" in field and field["when"] not in self.facts.texts | self.facts.figures:
            why = self.line(field["otherwise"][self.lang])[0] if "otherwise" in field else ()
            lead = label("not_applicable", self.lang) + (": " if self.lang == "en" else " : ") * bool(why)
            return "not_applicable", [Para((Span(lead), *why), "quiet")]
        blocks: list[Block] = []
        lost: list[str] = []
        done = 0
        for text in [field["say"]] if "say" in field else []:
            made, missing = self.paragraphs(text[self.lang])
            lost += missing
            if not missing:
                blocks += made
                done += 1
        for text in field.get("also", ()):
            if text.get("if", "") in self.facts.texts | self.facts.figures:
                made, missing = self.paragraphs(text[self.lang])
                blocks += [] if missing else made
        for name in field.get("tables", ()):
            grids = [self.grid(t) for t in self.facts.tables.get(name.lstrip("?"), ())]
            blocks += grids
            done += bool(grids)
            lost += [] if grids or name.startswith("?") else [name]
        open_ = []
        for key in field.get("ask", ()):
            answer = self.answers.get(key.lstrip("?"))
            if answer:
                blocks += self.answer(key.lstrip("?"), answer)
                done += 1
            elif not key.startswith("?"):
                open_.append(key)
        open_ += [name.removeprefix("operator.") for name in lost if name.startswith("operator.")]
        lost = [name for name in lost if not name.startswith("operator.")]
        if lost:
            blocks.append(self._not_recorded(field, lost))
        blocks += [self._to_complete(key) for key in dict.fromkeys(open_)]
        if not lost and not open_ and done:
            return "filled", blocks
        return ("partly" if done else "missing"), blocks

    def _not_recorded(self, field: Mapping[str, Any], lost: list[str]) -> Para:
        lead = Span(label("not_recorded", self.lang), strong=True)
        if "missing" in field:
            words = (": " if self.lang == "en" else " : ") + field["missing"][self.lang]
            return Para((lead, *plain(words)), "missing")
        names: list[Span] = [Span(": " if self.lang == "en" else " : ")]
        for name in dict.fromkeys(lost):
            names += [Span(name, code=True), Span(", ")]
        return Para((lead, *names[:-1]), "missing")

    def _to_complete(self, key: str) -> Para:
        lead = Span(label("to_complete", self.lang), strong=True)
        colon = " : " if self.lang == "fr" else ": "
        return Para((lead, Span(colon + questions()[key].text.of(self.lang) + " "), Span(key, code=True)), "missing")

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
            spans += plain(text[at:slot.start()])
            at = slot.end()
            name = slot.group(1)
            if name.startswith("operator."):
                answer = self.answers.get(name.removeprefix("operator."))
                spans += self.quoted(name.removeprefix("operator."), answer) if answer else []
                lost += [] if answer else [name]
            elif name in self.facts.texts:
                spans.append(Span(self.facts.texts[name].of(self.lang)))
            elif name in self.facts.figures:
                spans.append(self.figure(self.facts.figures[name]))
            else:
                lost.append(name)
        spans += plain(text[at:])
        return tuple(s for s in spans if s.text), lost

    def figure(self, figure: Figure) -> Span:
        shown = show(figure.value, figure.style, self.lang)
        return Span(shown, anchor=figure.anchor, code=bool(re.fullmatch(r"[0-9a-f]{40,64}", shown)))

    def grid(self, table: Table) -> Grid:
        return Grid(
            tuple(h.of(self.lang) for h in table.head),
            tuple(tuple(self.cell(c) for c in row) for row in table.rows),
            table.caption.of(self.lang) if table.caption else "",
        )

    def cell(self, cell: Cell) -> Line:
        if isinstance(cell, Figure):
            return (self.figure(cell),)
        if isinstance(cell, tuple):
            between = " to " if self.lang == "en" else " à "
            return (self.figure(cell[0]), Span(between), self.figure(cell[1]))
        return plain(cell.of(self.lang) if isinstance(cell, Text) else cell)

    def quoted(self, key: str, answer: Answer) -> list[Span]:
        """The operator's words in the middle of a sentence: a link to the file they are from."""
        return [Span(" ".join(answer.words[self.lang].split()), anchor=self.said(key).anchor)]

    def said(self, key: str) -> Figure:
        return self.facts.figures[f"operator.{key}.{self.lang}"]

    def answer(self, key: str, answer: Answer) -> list[Block]:
        note = label("operator", self.lang, date=date(answer.date, self.lang))
        if answer.borrowed not in (None, self.lang):
            given = LANGUAGE_NAMES[str(answer.borrowed)].of(self.lang)
            note += "; " if self.lang == "en" else " ; "
            note += label("other_language", self.lang, spoken=given)
        parts = answer.words[self.lang].strip().split("\n\n")
        blocks: list[Block] = [Para(plain(" ".join(part.split()))) for part in parts[:-1]]
        last = " ".join(parts[-1].split())
        return [*blocks, Para((Span(last + " ("), Span(note, anchor=self.said(key).anchor), Span(")")))]
