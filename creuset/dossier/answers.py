"""What only the operator knows: asked once, in one TOML file, each answer with the date on which it was true.

`questions.toml` lists the questions; `template` writes the file to fill in; `read` takes it back. An empty answer is
no answer: the documents say TO COMPLETE there.
"""

import datetime
import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError, DataError
from creuset.dossier.figure import pointer
from creuset.dossier.words import LANGS, Lang, Text

FIELDS = ("value", "en", "fr", "date")


@dataclass(frozen=True, slots=True)
class Question:
    key: str        # provider.legal_name
    text: Text
    optional: bool


@dataclass(frozen=True, slots=True)
class Answer:
    date: str                       # ISO 8601, or with a month only
    at: Mapping[Lang, str]          # where the words of each language are in the file
    words: Mapping[Lang, str]
    borrowed: Lang | None = None    # the one language it was given in, where two were possible


@cache
def questions() -> dict[str, Question]:
    body = tomllib.loads((Path(__file__).parent / "questions.toml").read_text(encoding="utf-8"))
    return {q["key"]: Question(q["key"], Text(q["en"], q["fr"]), q.get("optional", False)) for q in body["question"]}


def read(body: Mapping[str, Any], name: str = "operator.toml") -> dict[str, Answer]:
    """Answers by key; a key nobody asked for, or an answer without a date, is refused by its name."""
    given = body.get("date", "")
    found = {}
    for table, entries in body.items():
        if table == "date":
            continue
        if not isinstance(entries, dict):
            raise DataError(f"`{name}`: `{table}` is not asked for", hint=_near(table))
        for entry, answer in entries.items():
            key = f"{table}.{entry}"
            if key not in questions():
                raise DataError(f"`{name}`: `{key}` is not asked for", hint=_near(key))
            if made := _answer(key, answer, given, name):
                found[key] = made
    return found


def _answer(key: str, answer: Any, given: Any, name: str) -> Answer | None:
    at = pointer(*key.split("."))
    if isinstance(answer, str):
        where, date = dict.fromkeys(LANGS, (at, answer)), given
        borrowed = None
    elif isinstance(answer, dict):
        if unknown := sorted(set(answer) - set(FIELDS)):
            hint = f"fields: {', '.join(FIELDS)}"
            raise DataError(f"`{name}`: `{key}` has the unknown field `{unknown[0]}`", hint=hint)
        said = {k: v for k, v in answer.items() if k != "date" and str(v).strip()}
        if not said:
            return None
        one = next(iter(said))
        where = {lang: (f"{at}/{k}", said[k]) for lang in LANGS
                 for k in [lang if lang in said else "value" if "value" in said else one]}
        borrowed = next((lang for lang in LANGS if list(said) == [lang]), None)
        date = answer.get("date", given)
    else:
        raise DataError(f"`{name}`: `{key}` is neither words nor a table of {', '.join(FIELDS)}: {answer!r}")
    words = {lang: text for lang, (_, text) in where.items()}
    if not all(isinstance(w, str) for w in words.values()):
        raise DataError(f"`{name}`: `{key}` has a value that is not in quotes")
    if not any(w.strip() for w in words.values()):
        return None
    return Answer(_date(key, date, name), {lang: place for lang, (place, _) in where.items()}, words, borrowed)


def _date(key: str, date: Any, name: str) -> str:
    text = date.isoformat() if isinstance(date, datetime.date) else str(date)
    try:
        datetime.date.fromisoformat(text if len(text) > 7 else text + "-01")
    except ValueError:
        reason = f"has the date `{text}`" if text else "has no date"
        raise DataError(
            f"`{name}`: the answer to `{key}` {reason}",
            hint='write date = "2026-11-25" at the top, or beside the answer',
        ) from None
    return text


def _near(key: str) -> str:
    near = difflib.get_close_matches(key, questions(), n=1)
    return f"did you mean `{near[0]}`?" if near else "`creuset dossier template` writes the file to fill in"


def template(asked_by: Mapping[str, Sequence[str]]) -> str:
    """The file to fill in: questions in both languages, and the documents that ask them."""
    lines = [
        "# What only the operator knows. Asked once; all documents read it from here.",
        "# Ce que seul l'exploitant sait. Demandé une fois ; tous les documents le lisent ici.",
        "#",
        '# An answer is "words", or { en = "words", fr = "mots", date = "2026-11-25" }; an empty one is printed as',
        '# TO COMPLETE. "none" and "not applicable: because ..." are answers. `date` here is that of all answers',
        '# without one of their own.',
        '# Une réponse est "mots", ou { en = "words", fr = "mots", date = "2026-11-25" } ; une réponse vide s\'imprime',
        "# À COMPLÉTER. « aucun » et « sans objet : parce que ... » sont des réponses. `date` vaut ici pour les",
        "# réponses sans date propre.",
        'date = ""',
    ]
    table = ""
    for question in questions().values():
        head, _, name = question.key.partition(".")
        if head != table:
            lines += ["", f"[{head}]"]
            table = head
        lines += ["", f"# {question.text.en}", f"# {question.text.fr}"]
        optional = " (optional / facultatif)" if question.optional else ""
        lines += [f"#   -> {', '.join(asked_by.get(question.key, ())) or '-'}{optional}", f'{name} = ""']
    return "\n".join(lines) + "\n"


def from_file(path: Path) -> dict[str, Answer]:
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"`{path}` is not there", hint="`creuset dossier template --out operator.toml` writes one to fill in"
        ) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"`{path}` is not TOML: {error}") from error
    return read(body, path.name)
