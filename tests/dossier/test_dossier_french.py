"""No sentence of a record reaches a French page without its French, and no page mixes languages."""

import ast
import html
import json
import re
import tomllib
from pathlib import Path

import pytest

from creuset.core.artifact import new_artifact
from creuset.governance.audit.items import PARTS
from creuset.governance.dossier import french as module
from creuset.governance.dossier.build import build
from creuset.governance.dossier.form import forms
from creuset.governance.dossier.french import both, french

PACKAGE = Path(module.__file__).parents[2]
SAID = {"why", "caveat", "note", "untested", "why_not", "unit"}     # what rows say in words
PAGES = ("page", "report", "sheet", "paired_page")      # they speak to readers in two languages already, not to records
STATUS = {"not_tested", "not_testable", "not_applicable"}
ENGLISH = set(re.findall(r"\w+", """the of and with from this that which are were was has have its is not by these who
    than tokens number training into when where there it they how"""))
FRENCH = set(re.findall(r"\w+", """le les des une dans pour avec sur qui aux cette ces du il elle leur sont jetons
    chiffres"""))


# -- every sentence that the code can put into a record ---------------------------------------------------------------


def literal(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else slot(v) for v in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = literal(node.left), literal(node.right)
        return left + right if left and right else None
    return None


def slot(node: ast.AST) -> str:
    """A stand-in for what is filled in; one of the words where there is a choice of them."""
    value = getattr(node, "value", None)
    return (literal(value.body) if isinstance(value, ast.IfExp) else None) or "X7"


def leaves(node: ast.AST):
    """Strings of an expression; parts of an f-string and what is joined with others are said elsewhere."""
    if (text := literal(node)) is not None:
        yield text
    elif not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join"):
        for child in ast.iter_child_nodes(node):
            yield from leaves(child)


def names_of(target: ast.AST) -> str:
    if isinstance(target, ast.Subscript):
        return names_of(target.value)
    return getattr(target, "id", getattr(target, "attr", ""))


def sentences(file: Path):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    used = {n.id for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg in SAID
            for n in ast.walk(k.value) if isinstance(n, ast.Name)}  # fmt: skip
    used |= {n.id for k in ast.walk(tree) if isinstance(k, ast.Assign) and any(names_of(t) in SAID for t in k.targets)
             for n in ast.walk(k.value) if isinstance(n, ast.Name)}  # fmt: skip
    used |= {"OUTSIDE"}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in SAID:
            yield from leaves(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name in SAID:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    yield from leaves(inner.value)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(names_of(t) in SAID or (names_of(t).isupper() and names_of(t) in used) for t in targets):
                yield from leaves(node.value)
        elif isinstance(node, ast.Tuple) and any(isinstance(e, ast.Constant) and e.value in STATUS for e in node.elts):
            for element in node.elts:
                yield from leaves(element)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in SAID:
                    yield from leaves(value)
        elif isinstance(node, ast.Call) and names_of(node.func) == "NotTestable":
            for argument in node.args:
                yield from leaves(argument)


def reachable() -> dict[str, str]:
    """Sentences with the file that says them; names without a space are names."""
    found = {}
    for folder in ("governance/audit", "benchmarks", "core", "evals"):
        for file in sorted(f for f in (PACKAGE / folder).rglob("*.py") if not f.stem.startswith(PAGES)):
            for text in sentences(file):
                text = text.removeprefix("; ")      # what is added to a sentence
                if " " in text.strip() and not text.startswith(("its material was not given", "X7: ", "X7; ")):
                    found.setdefault(text, file.relative_to(PACKAGE).as_posix())
    for part in PARTS:
        if part.material:
            lacking = ", ".join(f"--given {name}=PATH ({what})" for name, what in part.material.items())
            found[f"its material was not given: {lacking}"] = f"audit: {part.name}"
    return found


SENTENCES = reachable()


def test_the_walk_finds_what_it_should():
    assert len(SENTENCES) > 70
    for known in ("an attack that fails does not prove that none succeeds", "no item was asked",
                  "it needs a chat model", "a million words"):  # fmt: skip
        assert known in SENTENCES


@pytest.mark.parametrize("text", sorted(SENTENCES), ids=lambda t: t[:40])
def test_every_sentence_of_a_record_has_its_french(text):
    said = french(text) or french(text.replace("X7", "no item was asked"))      # where the slot is a sentence itself
    assert said is not None, f"{SENTENCES[text]}: `{text}` has no French in creuset/governance/dossier/french.toml"
    assert (not (words(said) & ENGLISH) - {"is"} and said != text.strip()) or text == said == "FLOP"


def test_the_catalogue_keeps_its_slots_and_says_nothing_twice():
    rows = tomllib.loads(module.FILE.read_text(encoding="utf-8"))["text"]
    english = [row["en"] for row in rows]
    assert len(english) == len(set(english))
    for row in rows:
        assert sorted(re.findall(r"\{\w+\}", row["en"])) == sorted(re.findall(r"\{\w+\}", row["fr"])), row
        assert not re.search(r"[«»]\S|\S[«»]\s*\w", row["fr"].replace("« ", "").replace(" »", "")), row


@pytest.mark.parametrize(("text", "said"), [
    ("no item was asked", "aucune question n'a été posée"),
    ("the first documents only; no item was asked",
     "sur les premiers documents seulement ; aucune question n'a été posée"),
    ("processor estimated: 2 cores x 10 W x wall time (assumption; no counter here) / RAPL package counters "
     "(/sys/class/powercap)",
     "processeur estimé : 2 cœurs × 10 W × durée (hypothèse ; aucun compteur lisible) / compteurs RAPL du processeur "
     "(/sys/class/powercap)"),
    ("garak evaluated no output of dan.Dan", "garak n'a évalué aucune sortie de dan.Dan"),
    ("its material was not given: --given garak=PATH (a report of garak, NAME.report.jsonl)",
     "ce qu'il lui faut n'a pas été fourni : --given garak=PATH (un rapport de garak, NAME.report.jsonl)"),
    ("the first documents only; nobody wrote this", None),
    ("its material was not given: --given garak=PATH (nobody wrote this)", None),
])  # fmt: skip
def test_a_sentence_is_translated_whole_or_not_at_all(text, said):
    assert french(text) == said
    assert both(text).fr == (said or f"en anglais : « {text} »")


# -- pages ------------------------------------------------------------------------------------------------------------


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text.lower()))


def prose(page: str) -> str:
    """What the page says in its own words: no figures, names, code, answers of the operator, or marked quotations."""
    page = re.sub(r"<(style|script)>.*?</\1>", " ", page, flags=re.DOTALL).replace("\u00a0", " ").replace("\u202f", " ")
    for kept in (r'<a class="figure".*?</a>', r"<code>.*?</code>", r'<span translate="no">.*?</span>',
                 r'<span class="said">.*?</span>', r"en anglais : « .*? »", r"« Article 29 »"):  # fmt: skip
        page = re.sub(kept, " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.fixture(scope="module")
def full(root, given, tmp_path_factory):
    """A dossier with an audit that says everything an audit can say."""
    folder = tmp_path_factory.mktemp("full")
    made = root / "base"
    rows = []
    for number, text in enumerate(sorted(SENTENCES)):
        about = {"task": f"t{number}", "metric": "m", "requirement": str(2 + number % 14), "n": 0}
        rows.append({**about, "status": "not_tested", "why": text, "score": None})
        rows.append({**about, "status": "measured", "caveat": text, "score": 0.5, "unit": "nats", "n": 4})
    rows.append({"task": "broken", "metric": "m", "requirement": "7", "status": "not_tested", "score": None,
                 "why": "the file is not JSON: it ended early"})  # fmt: skip
    with new_artifact(folder / "audit", kind="audit", parents=[made]) as scratch:
        subject = {"sha256": json.loads((made / "manifest.json").read_text())["sha256"]}
        (scratch / "results.json").write_text(json.dumps({"model": subject, "results": rows}))
    build(made, folder / "out", evaluations=[root / "scores"], audits=[folder / "audit"],
          data=[root / "shards-corpus"])  # fmt: skip
    return folder / "out"


@pytest.mark.parametrize(("lang", "other"), [("fr", ENGLISH), ("en", FRENCH)])
def test_no_page_mixes_languages(full, lang, other):
    pages = sorted((full / lang).glob("*.html"))
    assert len(pages) == 16
    for page in pages:
        text = prose(page.read_text(encoding="utf-8"))
        assert len(words(text)) > 40
        strange = words(text) & other
        where = [text[max(0, m.start() - 60):m.end() + 60] for w in strange for m in re.finditer(rf"\b{w}\b", text)]
        assert not strange, (page.name, where[:3])


def test_what_has_no_french_is_quoted_as_english(full):
    page = (full / "fr/gdpr-impact.html").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "non testé : en anglais : « the file is not JSON: it ended early »" in page


def test_words_of_forms_and_law_are_of_their_language():
    law = tomllib.loads((PACKAGE / "governance/dossier/law.toml").read_text(encoding="utf-8"))
    pairs = [(r["en"], r["fr"]) for r in (*law["threshold"], *law["provision"])]
    pairs += [(r["source"]["en"], r["source"]["fr"]) for r in (*law["threshold"], *law["provision"])]
    asked = tomllib.loads((PACKAGE / "governance/dossier/questions.toml").read_text(encoding="utf-8"))["question"]
    pairs += [(q["en"], q["fr"]) for q in asked]
    for form in forms().values():
        pairs += [(form.title.en, form.title.fr), (form.intro.en, form.intro.fr)]
        pairs += [(s["en"], s["fr"]) for s in form.sections]
        pairs += [(f["en"], f["fr"]) for f in form.fields()]
        pairs += [(t["en"], t["fr"]) for f in form.fields() for t in (*f.get("also", ()), f.get("say", {})) if t]
    for english, said in pairs:
        said = re.sub(r"`[^`]*`|\{[^}]*\}", " ", said)
        assert not words(said) & ENGLISH, said
        assert not words(re.sub(r"\{[^}]*\}", " ", english)) & FRENCH, english
