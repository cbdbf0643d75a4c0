"""What only the operator knows: asked once, in one TOML file, each answer with the date on which it was true.

`questions.toml` lists the questions; `template` writes the file to fill in; `read` takes it back. An empty answer is
no answer: the documents say TO COMPLETE there.
"""

import datetime
import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from creuset.core.errors import ConfigError, DataError
from creuset.governance.dossier.figure import pointer
from creuset.report.language import LANGS, Lang, Text, show

FIELDS = ("value", "en", "fr", "date")
NUMBER_FIELDS = ("value", "source", "date")


@dataclass(frozen=True, slots=True)
class Question:
    key: str  # provider.legal_name
    text: Text
    optional: bool
    span: tuple[float, float] | None = None  # of a number: least and most
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    date: str  # ISO 8601, or with a month only
    at: Mapping[Lang, str]  # where the words of each language are in the file
    words: Mapping[Lang, str]
    borrowed: Lang | None = None  # the one language it was given in, where two were possible
    source: str = ""  # of a number


@cache
def questions() -> dict[str, Question]:
    body = tomllib.loads((Path(__file__).parent / "questions.toml").read_text(encoding="utf-8"))
    return {
        q["key"]: Question(
            q["key"],
            Text(q["en"], q["fr"]),
            q.get("optional", False),
            (q["least"], q["most"]) if q.get("kind") == "number" else None,
            tuple(q.get("choices", ())),
        )
        for q in body["question"]
    }


def read(body: Mapping[str, Any], name: str = "operator.toml") -> dict[str, Answer]:
    """Answers by key; a key nobody asked for, or an answer without a date, is refused by its name."""
    given = body.get("date", "")
    found = {}
    for table, entries in body.items():
        if table == "date":
            continue
        if not isinstance(entries, dict):
            raise DataError(f"`{name}`: `{table}` is not asked for: {_type(entries)}", hint=_near(table))
        for entry, answer in entries.items():
            key = f"{table}.{entry}"
            if key not in questions():
                raise DataError(f"`{name}`: `{key}` is not asked for", hint=_near(key))
            if made := _answer(key, answer, given, name):
                found[key] = made
    return found


def _answer(key: str, answer: Any, given: Any, name: str) -> Answer | None:
    if questions()[key].span is not None:
        return _number(key, answer, given, name)
    at = pointer(*key.split("."))
    if isinstance(answer, str):
        where, date = dict.fromkeys(LANGS, (at, answer)), given
        borrowed = None
    elif isinstance(answer, dict):
        _known(key, answer, FIELDS, name)
        said = {k: v for k, v in answer.items() if k != "date" and str(v).strip()}
        if not said:
            return None
        one = next(iter(said))
        where = {
            lang: (f"{at}/{k}", said[k])
            for lang in LANGS
            for k in [lang if lang in said else "value" if "value" in said else one]
        }
        borrowed = next((lang for lang in LANGS if list(said) == [lang]), None)
        date = answer.get("date", given)
    else:
        raise DataError(f"`{name}`: `{key}` is neither words nor a table of {', '.join(FIELDS)}, but {_type(answer)}")
    words = {lang: text for lang, (_, text) in where.items()}
    for wrong in (w for w in words.values() if not isinstance(w, str)):
        raise DataError(f"`{name}`: `{key}` has a value that is not in quotes: {_type(wrong)}")
    if not any(w.strip() for w in words.values()):
        return None
    if (choices := questions()[key].choices) and (other := sorted({w.strip() for w in words.values()} - {*choices})):
        raise DataError(f"`{name}`: `{key}` is `{other[0]}`", hint=f"one of {', '.join(choices)}")
    return Answer(_date(key, date, name), {lang: place for lang, (place, _) in where.items()}, words, borrowed)


def _number(key: str, answer: Any, given: Any, name: str) -> Answer | None:
    """A number with where it is from; "" is no answer."""
    if answer == "":
        return None
    form = f'write {key.split(".")[1]} = {{ value = 50.5, source = "...", date = "2026-01-31" }}'
    if not isinstance(answer, dict):
        raise DataError(f"`{name}`: `{key}` is {_type(answer)}, and needs a source beside it", hint=form)
    _known(key, answer, NUMBER_FIELDS, name)
    value, source = answer.get("value"), str(answer.get("source", "")).strip()
    least, most = questions()[key].span or (0.0, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"`{name}`: the value of `{key}` is {_type(value)}, not a number", hint=form)
    if not least <= value <= most:
        raise DataError(f"`{name}`: `{key}` is {value:g}, which is not from {least:g} to {most:g}")
    if not source:
        raise DataError(f"`{name}`: `{key}` has no source", hint=form)
    at = pointer(*key.split("."), "value")
    words: dict[Lang, str] = {lang: show(value, "auto", lang) for lang in LANGS}
    return Answer(_date(key, answer.get("date", given), name), dict.fromkeys(LANGS, at), words, source=source)


def _known(key: str, answer: Mapping[str, Any], fields: Sequence[str], name: str) -> None:
    for unknown in sorted(set(answer) - set(fields)):
        near = difflib.get_close_matches(unknown, fields, n=1)
        raise DataError(
            f"`{name}`: `{key}` has the unknown field `{unknown}`",
            hint=(f"did you mean `{near[0]}`? " if near else "") + f"fields: {', '.join(fields)}",
        )


def _type(value: Any) -> str:
    """A value and its kind, as TOML calls it."""
    kinds = {
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "words",
        list: "a list",
        dict: "a table",
        datetime.date: "a date",
        datetime.datetime: "a time",
        type(None): "nothing",
    }
    said = str(value).lower() if isinstance(value, bool) else str(value)
    return kinds.get(type(value), type(value).__name__) + (f" ({said})" if value is not None else "")


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
    tables = dict.fromkeys(known.partition(".")[0] for known in questions())
    near = difflib.get_close_matches(key, questions() if "." in key else tables, n=1)
    return f"did you mean `{near[0]}`?" if near else "`creuset dossier template` writes the file to fill in"


def template(asked_by: Mapping[str, Sequence[str]], body: Mapping[str, Any] | None = None) -> str:
    """The file to fill in: questions in both languages, the documents that ask them, and the answers of `body`."""
    given = body or {}
    lines = [
        "# What only the operator knows. Asked once; all documents read it from here.",
        "# Ce que seul l'exploitant sait. Demandé une fois ; tous les documents le lisent ici.",
        "#",
        '# An answer is "words", or { en = "words", fr = "mots", date = "2026-11-25" }; an empty one is printed as',
        '# TO COMPLETE. "none" and "not applicable: because ..." are answers. `date` here is that of all answers',
        "# without one of their own.",
        '# Une réponse est "mots", ou { en = "words", fr = "mots", date = "2026-11-25" } ; une réponse vide s\'imprime',
        "# À COMPLÉTER. « aucun » et « sans objet : parce que ... » sont des réponses. `date` vaut ici pour les",
        "# réponses sans date propre.",
        f"date = {_toml(given.get('date', ''))}",
    ]
    table = ""
    for question in questions().values():
        head, _, name = question.key.partition(".")
        if head != table:
            lines += ["", f"[{head}]"]
            table = head
        lines += ["", f"# {question.text.en}", f"# {question.text.fr}"]
        if question.span is not None:
            lines.append('# { value = 50.5, source = "...", date = "2026-01-31" }')
        optional = " (optional / facultatif)" if question.optional else ""
        lines += [
            f"#   -> {', '.join(asked_by.get(question.key, ())) or '-'}{optional}",
            f"{name} = {_toml(given.get(head, {}).get(name, ''))}",
        ]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """An answer as TOML on one line; JSON's strings are TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, datetime.date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False)


def from_file(path: Path) -> dict[str, Answer]:
    return read(body_of(path), path.name)


def body_of(path: Path) -> dict[str, Any]:
    """The file as TOML has it. Raises ConfigError, DataError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"`{path}` is not there", hint="`creuset dossier template --out operator.toml` writes one to fill in"
        ) from None
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"`{path}` is not TOML: {error}") from error
