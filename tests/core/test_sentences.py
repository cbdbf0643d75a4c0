"""Sentences with keys: both languages of each, the same slots, and no sentence of a record without a key."""

import ast
import copy
import json
import pickle
import re
import string
import tomllib
from pathlib import Path

import pytest

from creuset.core.errors import DataError
from creuset.core.record import read, stages
from creuset.core.sentences import (
    ROOT,
    TABLES,
    Sentence,
    from_json,
    in_language,
    joined,
    keyed,
    say,
    sentence,
    table,
    to_json,
)
from tests.tree import MODULES, nodes, parsed

KEYS = [f"{room}.{name}" for room in TABLES if (ROOT / TABLES[room] / "sentences.toml").is_file()
        for name in table(room)]  # fmt: skip
SAID = {"why", "caveat", "note", "untested", "why_not"}  # what a record says in words
STATUS = {"not_tested", "not_testable", "not_applicable"}
SPEAKS = ("core", "evals", "benchmarks", "governance/audit")
PAGES = ("page", "report", "paired_page", "inspect_log")  # they speak to readers, not to records


def slots(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


# -- the tables -------------------------------------------------------------------------------------------------------


def test_a_sentence_has_both_languages_and_the_same_slots():
    for key in KEYS:
        row = say_row(key)
        assert set(row) == {"en", "fr"} and all(row.values()), key
        assert slots(row["en"]) == slots(row["fr"]), key
        spaced = row["fr"].replace("« ", "").replace(" »", "")
        assert not re.search(r"[«»]", spaced), f"{key}: French quotation marks have a space inside"
        colons = re.sub(r"\{[^}]*\}", "", row["fr"])
        assert not re.search(r"\w[;:!?](\s|$)", colons), f"{key}: French has a space before ; : ! ?"


def test_every_table_is_of_a_known_room():
    found = {f.parent.relative_to(ROOT).as_posix() for f in ROOT.rglob("sentences.toml")}
    assert found <= set(TABLES.values())


def test_english_words_are_not_passed_off_as_french():
    english = {"the", "of", "and", "with", "from", "this", "that", "which", "are", "were", "was", "has", "have", "not",
               "by", "these", "than", "when", "where"}  # fmt: skip
    for key in KEYS:
        words = set(re.findall(r"[^\W\d_]+", re.sub(r"\{[^}]*\}|`[^`]*`|--\S+", " ", say_row(key)["fr"]).lower()))
        assert not words & english, key


def say_row(key: str):
    return table(key.partition(".")[0])[key.partition(".")[2]]


# -- what the code says -----------------------------------------------------------------------------------------------


def calls():
    for module in MODULES:
        for node in nodes(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sentence":
                yield module, node


def test_every_key_in_the_code_is_in_a_table_with_the_slots_that_are_given():
    count = 0
    for file, node in calls():
        options = [node.args[0].body, node.args[0].orelse] if isinstance(node.args[0], ast.IfExp) else [node.args[0]]
        for option in options:
            if isinstance(option, ast.Constant):
                given = {k.arg for k in node.keywords}
                assert option.value in KEYS, f"{file}:{node.lineno}: there is no sentence `{option.value}`"
                assert slots(say_row(option.value)["en"]) == given, f"{file}:{node.lineno}: {option.value}"
                count += 1
    assert count > 100


def test_no_sentence_of_a_table_is_left_over():
    files = [f for f in ROOT.rglob("*") if f.suffix in (".py", ".toml") and f.name != "sentences.toml"]
    sources = "\n".join(f.read_text(encoding="utf-8") for f in files)
    families = ("report.unit ", "report.language ", "report.month ")  # looked up by a name or a number
    page = "\n".join(f.read_text(encoding="utf-8") for f in (ROOT / TABLES["console"] / "page").glob("*.js"))
    by_script = {f"console.{name}" for name in table("console") if f'say("{name}"' in page or name in _scripted(page)}
    unused = [
        k
        for k in KEYS
        if f'"{k}"' not in sources and k not in by_script and not k.startswith(families) and not _built(k)
    ]
    assert not unused


def _scripted(page: str) -> set[str]:
    """Keys that the page of administration puts together: the names in a list behind a word, such as `part `."""
    begins = set(re.findall(r"say\(`([a-z]+) \$", page))
    listed = (
        set(re.findall(r'"([a-z_]+)"', page))
        | set(re.findall(r"\b([a-z_]+):? ", page))
        | {"pending", "accepted", "expired"}
    )
    return {name for name in table("console") if name.partition(" ")[0] in begins} | listed


def _built(key: str) -> bool:
    """Keys that are put together: heads of tables and parts of a sum by their names, others by what a record says."""
    room, _, name = key.partition(".")
    files = [f.read_text(encoding="utf-8") for f in (ROOT / TABLES[room]).iterdir()
             if f.suffix in (".py", ".toml") and f.name != "sentences.toml"]  # fmt: skip
    begins = {m for text in files for m in re.findall(rf"{room}\.([a-z_ ]+)\{{", text)} | {"count_", "state_"}
    named = any(re.search(rf'"[^"\n]*\b{name}\b[^"\n]*"', text) for text in files)
    return name.startswith(tuple(begins)) or (room == "dossier" and named)


def literal(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "" for v in node.values)
    return ""


def leaves(node: ast.AST):
    """Words in an expression; those inside of a call are what is filled into a sentence, or a name."""
    if text := literal(node):
        yield text
    elif isinstance(node, ast.Call):
        yield from (text for arg in node.args if name_of(node.func) == "joined" for text in leaves(arg))
    elif not isinstance(node, ast.Subscript | ast.Compare):
        for child in ast.iter_child_nodes(node):
            yield from leaves(child)


def name_of(target: ast.AST) -> str:
    return name_of(target.value) if isinstance(target, ast.Subscript) else str(
        getattr(target, "id", getattr(target, "attr", "")))  # fmt: skip


def unkeyed(tree: ast.AST):
    """Words that stand where a record says a sentence."""
    used = {n.id for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg in SAID
            for n in ast.walk(k.value) if isinstance(n, ast.Name)} | {"OUTSIDE"}  # fmt: skip
    for node in ast.walk(tree):
        found: list[ast.AST] = []
        if isinstance(node, ast.keyword) and node.arg in SAID:
            found = [node.value]
        elif isinstance(node, ast.FunctionDef) and node.name in SAID:
            found = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(name_of(t) in SAID or (name_of(t).isupper() and name_of(t) in used) for t in targets):
                found = [node.value]
        elif isinstance(node, ast.Tuple) and any(isinstance(e, ast.Constant) and e.value in STATUS for e in node.elts):
            found = list(node.elts)
        elif isinstance(node, ast.Dict):
            found = [v for k, v in zip(node.keys, node.values, strict=True)
                     if isinstance(k, ast.Constant) and k.value in SAID]  # fmt: skip
        elif isinstance(node, ast.Call) and name_of(node.func) == "NotTestable":
            found = list(node.args)
        for expression in found:
            yield from (text for text in leaves(expression) if " " in text.strip())


def test_no_sentence_of_a_record_is_written_in_the_code():
    found = {}
    for folder in SPEAKS:
        for module, tree in parsed().items():
            mine = MODULES[module].is_relative_to(ROOT / folder) and not MODULES[module].stem.startswith(PAGES)
            if mine and (texts := list(unkeyed(tree))):
                found[module] = texts
    assert not found, "give these a key in the sentences.toml of their room"


def test_the_walk_finds_words_without_a_key():
    code = 'm = Measure(why="no item was asked")\nclass T:\n    note = f"read {x} beside y"\n'
    code += 'raise NotTestable("it has no")'
    assert sorted(unkeyed(ast.parse(code))) == ["it has no", "no item was asked", "read  beside y"]
    assert list(unkeyed(ast.parse('m = Measure(why=joined("it has no", more))'))) == ["it has no"]
    assert not list(unkeyed(ast.parse('m = Measure(why=sentence("a.b", what="some thing"), status="not_tested")')))


# -- the mechanism ----------------------------------------------------------------------------------------------------


def test_a_sentence_is_its_english_text_and_knows_its_french():
    found = sentence("benchmarks.documents_drawn", n=12345)
    assert found == "12,345 documents drawn evenly over the whole" and f"{found}" == found.english
    assert found.of("fr") == "12\u202f345 documents pris à intervalles réguliers dans l'ensemble"
    assert sentence("benchmarks.read_about", share=0.5).of("fr").startswith("l'entraînement a lu environ 50\u202f%")


def test_sentences_inside_of_sentences_are_said_in_the_same_language():
    given = [sentence("audit.given", name="garak", what=sentence("audit.material_garak")),
             sentence("audit.given", name="shards", what=sentence("audit.material_shards"))]  # fmt: skip
    found = joined(sentence("benchmarks.no_item"), "", sentence("audit.no_material", given=given))
    assert found == (
        "no item was asked; its material was not given: --given garak=PATH (a report of garak, NAME.report.jsonl), "
        "--given shards=PATH (the shards artifact the model was trained on)"
    )
    assert found.of("fr") == (
        "aucune question n'a été posée ; ce qu'il lui faut n'a pas été fourni : --given garak=PATH (un rapport de "
        "garak, NAME.report.jsonl), --given shards=PATH (l'artefact de données découpées sur lequel le modèle a été "
        "entraîné)"
    )
    assert joined("", "") == ""
    one = sentence("benchmarks.no_item")
    assert joined(one, "") is one


def test_words_without_a_key_are_quoted_as_english():
    assert in_language("it ended early.", "fr") == "en anglais : « it ended early »"
    assert in_language("it ended early.", "en") == "it ended early."
    mixed = joined(sentence("benchmarks.no_item"), "nobody wrote this")
    assert mixed == "no item was asked; nobody wrote this"
    assert mixed.of("fr") == "aucune question n'a été posée ; en anglais : « nobody wrote this »"


def test_a_record_keeps_the_keys_and_gives_them_back():
    why = joined(sentence("benchmarks.no_passage", window=50, bucket="2-9"), "an error")
    kept = json.loads(json.dumps(to_json({"rows": [{"task": "t", "why": why, "n": 1}, {"why": ""}]})))
    assert kept["rows"][0]["why"] == str.__str__(why) and "sentences" not in kept["rows"][1]
    found = from_json(kept)
    assert found == {"rows": [{"task": "t", "why": why, "n": 1}, {"why": ""}]}
    assert found["rows"][0]["why"].of("fr") == why.of("fr")
    assert to_json(found) == kept, "read and written again it is the same"
    assert to_json(kept) == kept and to_json(kept | {"note": why})["sentences"].keys() == {"note"}


@pytest.mark.parametrize("row", [
    {"key": "benchmarks.gone", "values": {}}, {"key": "nowhere.x", "values": {}}, {"key": 3, "values": {}},
    {"key": "benchmarks.no_passage", "values": {"window": 3}}, {"key": "benchmarks.no_item"},
])  # fmt: skip
def test_a_key_that_is_not_known_leaves_the_english_words(row):
    found = from_json({"why": "no item was asked", "sentences": {"why": row}})
    assert found == {"why": "no item was asked"} and not isinstance(found["why"], Sentence)


def test_a_field_of_that_name_that_is_not_ours_stays():
    assert from_json({"sentences": [{"text": "a"}]}) == {"sentences": [{"text": "a"}]}
    assert from_json({"sentences": {"a": "b"}}) == {"sentences": {"a": "b"}}


def test_the_english_of_a_record_is_the_records_own():
    found = from_json({"why": "no item was put", "sentences": {"why": {"key": "benchmarks.no_item", "values": {}}}})
    assert found["why"] == "no item was put" and found["why"].of("fr") == "aucune question n'a été posée"


def test_copies_and_errors_keep_the_key():
    found = joined(sentence("benchmarks.no_item"), "x")
    for other in (copy.deepcopy(found), pickle.loads(pickle.dumps(found)), str(DataError(found))):
        assert isinstance(other, Sentence) and other == found and other.of("fr") == found.of("fr")


@pytest.mark.parametrize(("make", "message"), [
    (lambda: sentence("benchmarks.nothing"), "there is no sentence `benchmarks.nothing`"),
    (lambda: sentence("kitchen.x"), "`kitchen` has no table of sentences"),
    (lambda: sentence("benchmarks.no_passage", window=1), "`benchmarks.no_passage` needs 'bucket'"),
])  # fmt: skip
def test_refusals(make, message):
    with pytest.raises(DataError, match=re.escape(message)):
        make()


# -- records from before there were keys ------------------------------------------------------------------------------


def test_the_record_of_the_shipped_model_gets_its_keys_from_what_it_states():
    record = read(ROOT / "models/mini/record.json")
    for stage in stages(record):
        energy = stage["energy"]
        for text in (energy["method"], energy["boundary"], stage["flops"]["definition"]):
            assert isinstance(text, Sentence)
        assert "en anglais" not in energy["method"].of("fr")
    raw = json.loads((ROOT / "models/mini/record.json").read_text())
    assert record["energy"]["method"] == raw["energy"]["method"]


def test_a_record_that_says_something_else_gets_no_key(tmp_path):
    raw = json.loads((ROOT / "models/mini/record.json").read_text())
    raw["energy"]["method"] = raw["energy"]["method"].replace("10 W", "11 W")
    (tmp_path / "record.json").write_text(json.dumps(raw))
    assert not isinstance(read(tmp_path / "record.json")["energy"]["method"], Sentence)


def test_tables_are_read_from_the_package():
    for room in TABLES.values():
        if (file := Path(ROOT / room / "sentences.toml")).is_file():
            assert tomllib.loads(file.read_text(encoding="utf-8"))


def test_keyed_words_are_english_in_english():
    assert keyed("as it was.") == "as it was."
    assert say("fr", "core.quoted", text="x") == "en anglais : « x »"
