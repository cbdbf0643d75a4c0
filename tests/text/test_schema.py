"""JSON Schemas as grammars: what is accepted fits the schema, what cannot be enforced is refused by its path."""

import json
from collections import Counter
from pathlib import Path

import pytest
from llguidance import LLMatcher

from creuset.core.errors import RequestError
from creuset.engine.answer.grammar import Grammars
from creuset.testing import tiny_tokenizer
from creuset.text import grammar
from creuset.text.schema.read import MAX_LEVELS, MAX_SCHEMAS

SUITE = Path(__file__).parents[1] / "golden" / "json_schema_suite" / "draft2020-12.jsonl"


@pytest.fixture(scope="module")
def grammars():
    tokenizer = tiny_tokenizer()
    return Grammars(tokenizer, end_ids=[tokenizer.im_end], vocab_size=tokenizer.vocab_size)


def accepts(compiled: LLMatcher, text: str) -> bool:
    """Whether `text` is a whole text of the grammar."""
    matcher, ids = compiled.deep_copy(), tiny_tokenizer().encode(text)
    return matcher.try_consume_tokens(ids) == len(ids) and (matcher.is_accepting() or matcher.is_stopped())


def enforced(grammars, schema):
    return grammars.compile(grammar.json_schema(schema)).result()


# Files of the suite, and how many of their groups are refused: what is not served.
REFUSED = {
    "additionalProperties": 2, "allOf": 2, "anyOf": 1, "boolean_schema": 1, "contains": 7, "defs": 1,
    "dependentRequired": 4, "dependentSchemas": 4, "enum": 1, "format": 9, "if-then-else": 8, "maxContains": 4,
    "minContains": 7, "multipleOf": 1, "not": 8, "oneOf": 9, "patternProperties": 3, "propertyNames": 1, "ref": 17,
    "uniqueItems": 3,
}  # fmt: skip


def test_what_a_grammar_accepts_the_schema_accepts(grammars):
    refused: Counter[str] = Counter()
    accepted = rejected = 0
    for line in SUITE.read_text(encoding="utf-8").splitlines():
        group = json.loads(line)
        try:
            compiled = enforced(grammars, group["schema"])
        except RequestError as error:
            assert str(error.param).startswith("schema"), error
            refused[group["file"]] += 1
            continue
        for value in group["invalid"]:
            assert not accepts(compiled, json.dumps(value, ensure_ascii=False)), (group, value)
            rejected += 1
        accepted += sum(accepts(compiled, json.dumps(value, ensure_ascii=False)) for value in group["valid"])
    assert dict(refused) == REFUSED
    assert (
        rejected > 500 and accepted > 530
    )  # of 785 in all groups; the others are written in a way that no grammar here takes


REFUSALS = [
    ([], "schema", "must be a JSON Schema"),
    ({"type": "strin"}, "schema.type", '"strin"'),
    ({"type": "object", "properties": {"a": {"pattern": "(?=x)"}}}, "schema.properties.a.pattern", "look-around"),
    ({"properties": {"a b": {"anyOf": [{"type": "null"}, {"format": "iri"}]}}},
     'schema.properties["a b"].anyOf[1].format', '"iri"'),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"items": {"uniqueItems": True}}}}, 
     "schema.$defs.x.items.uniqueItems", "not served"),
    ({"items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"pattern": "["}}}, "schema.$defs.x.pattern", "unclosed"),
    ({"$ref": "https://example.org/x"}, "schema.$ref", "example.org"),
    ({"$ref": "#/$defs/y", "$defs": {}}, "schema.$ref", '"#/$defs/y"'),
    ({"not": {"type": "string"}}, "schema.not", "not served"),
    ({"if": {"type": "string"}, "then": {"minLength": 1}}, "schema.if", "not served"),
    ({"oneOf": [{"type": "integer"}, {"minimum": 3}]}, "schema.oneOf", "exclude each other"),
    ({"oneOf": [{"enum": ["a", "b"]}, {"enum": ["b", "c"]}]}, "schema.oneOf", "exclude each other"),
    ({"oneOf": [{"type": "object", "properties": {"k": {"enum": [1, two]}}} for two in (2, 3)]},
     "schema.oneOf", "exclude each other"),
    ({"type": "string", "minLength": 5, "maxLength": 3}, "schema.minLength", "minLength (5)"),
    ({"type": "object", "properties": {"a": False}, "required": ["a"]}, "schema.properties", "'a'"),
    ({"properties": {"n": {"$ref": "#"}}, "required": ["n"], "type": "object"}, "schema", "without end"),
    ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 1}}},
     "schema.$defs.n", "without end"),
    ({"enum": []}, "schema.enum", "[]"),
    ({"const": 2**60}, "schema.const", "2^53"),
    ({"type": "object", "minProperties": 3}, "schema.minProperties", "3 names"),
    ({"multipleOf": 0}, "schema.multipleOf", "above 0"),
    ({"multipleOf": 99991}, "schema.multipleOf", "too many digits"),
    ({"allOf": [{"multipleOf": 211}, {"items": {"multipleOf": 0.199}}]},
     "schema.allOf[1].items.multipleOf", "with others"),
    ({"maxItems": -1}, "schema.maxItems", "-1"),
    ({"required": ["a", 1]}, "schema.required", "list of names"),
    ({"properties": [1]}, "schema.properties", "[1]"),
    ({"anyOf": {}}, "schema.anyOf", "{}"),
    ({"x-guidance": {"lenient": True}, "uniqueItems": True}, "schema.x-guidance", "not served"),
    ({"propertyNames": {"minLength": 3}}, "schema.propertyNames", "only `enum`"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "path", "words"), REFUSALS, ids=lambda value: str(value)[:50])
def test_what_cannot_be_enforced_is_refused_by_its_path(schema, path, words):
    with pytest.raises(RequestError) as refused:
        grammar.json_schema(schema)
    assert refused.value.param == path and f"`{path}`" in str(refused.value) and words in str(refused.value)


def chain(length):
    """Definitions that refer to each other in a row: what makes a compiler that calls itself run out of stack."""
    defs = {f"d{i}": {"type": "object", "properties": {"a": {"$ref": f"#/$defs/d{i + 1}"}}} for i in range(length)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{length}": {"type": "string"}}}


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


PATHOLOGICAL = [
    (nested(MAX_LEVELS + 1), "nested deeper than"),
    (nested(100_000), "nested deeper than"),
    ({"anyOf": [{"minLength": i} for i in range(MAX_SCHEMAS)]}, f"more than {MAX_SCHEMAS}"),
    ({"allOf": [{"anyOf": [{"type": "object", "properties": {f"p{i}{j}": {}}, "required": [f"p{i}{j}"]} for j in "abc"]}
                for i in range(12)]}, "too large"),
    ({"type": "object", "properties": {f"p{i}": {} for i in range(1001)}}, "not in `required`"),
    ({"enum": ["x" * 1000 + str(i) for i in range(2000)]}, "characters"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "words"), PATHOLOGICAL, ids=[words for _, words in PATHOLOGICAL])
def test_a_pathological_schema_is_refused_and_ends_nothing(schema, words):
    with pytest.raises(RequestError, match=words):
        grammar.json_schema(schema)


def test_alternatives_that_refer_to_each_other_in_every_way_are_compared_soon():
    names = [f"p{i}" for i in range(30)]
    defs = {
        one: {"type": "object", "properties": {name: {"$ref": f"#/$defs/{other}"} for name in names}, "required": names}
        for one, other in (("A", "B"), ("B", "C"), ("C", "A"))
    }
    with pytest.raises(RequestError):
        grammar.json_schema({"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "$defs": defs})
    kinds = [{"type": "object", "properties": {"k": {"const": i}, **{n: {} for n in names}}} for i in range(500)]
    grammar.json_schema({"oneOf": kinds})


def test_a_long_row_of_references_compiles(grammars):
    assert accepts(enforced(grammars, chain(3000)), '{"a": {"a": {}}}')


TAKEN = [
    # A union as pydantic writes it: the member may lack its discriminator, and then the answer names it all the same.
    ({"oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}], "discriminator": {"propertyName": "kind"},
      "$defs": {k: {"type": "object", "properties": {"kind": {"const": k.lower(), "default": k.lower()}, "n": {}}}
                for k in ("Cat", "Dog")}}, ['{"kind": "cat", "n": 1}', '{"kind":"dog"}'],
     ['{"n": 1}', '{"kind": "cow"}']),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, ['"a"', "null"], ["1"]),
    ({"type": "object", "propertyNames": {"$ref": "#/$defs/C"}, "additionalProperties": {"type": "integer"},
      "$defs": {"C": {"enum": ["red", "blue"]}}}, ['{"red": 1}', "{}"], ['{"green": 1}', '{"red": "x"}']),
    ({"type": "object", "propertyNames": {"pattern": "^x"}}, ['{"xa": 1}'], ['{"a": 1}']),
    ({"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"type": "integer"}}}, ["3"], ['"x"']),
    ({"type": ["string", "null"], "format": "date"}, ['"2024-02-29"', "null"],
     ['"2023-02-29"', '"2024-13-01"', '"0000-01-01"']),
    ({"type": "string", "format": "date-time"}, ['"2024-02-29T23:59:59Z"'], ['"2024-02-30T23:59:59Z"']),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"const": {"$ref": "b"}}}}, ['{"$ref": "b"}'], ["{}"]),
    ({"type": "string", "format": "password"}, ['"x"'], ["1"]),
    ({"type": "number", "allOf": [{"multipleOf": 0.01}, {"multipleOf": 2500}]}, ["5000", "-2500"], ["2501", "100"]),
    ({"type": "string", "pattern": r"^\d\w$"}, ['"1é"'[:2] + 'a"'], ['"1é"', '"٣a"']),
    ({"type": "object", "properties": {"a": {}}, "unevaluatedProperties": False}, ['{"a": 1}'], ['{"b": 1}']),
    ({"items": [{"type": "integer"}], "additionalItems": False, "type": "array"}, ["[1]", "[]"], ["[1, 2]", '["x"]']),
    ({"type": "string", "enum": ["é\n", '"\\', "\u2028", "𝄞"]}, ['"é\\n"', '"\\"\\\\"', '"𝄞"'], ['"e"']),
    ({"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"],
      "additionalProperties": False}, ['{"next": {"next": null}}'], ["{}", '{"next": 1}']),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "good", "bad"), TAKEN, ids=lambda value: str(value)[:50])
def test_what_programs_send_is_enforced(grammars, schema, good, bad):
    compiled = enforced(grammars, schema)
    assert [text for text in good if not accepts(compiled, text)] == []
    assert [text for text in bad if accepts(compiled, text)] == []


LOOSE = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {}},
    "required": ["a"],
    "additionalProperties": False,
}


def test_strict_asks_for_every_property_and_no_other():
    grammar.json_schema(LOOSE)
    for schema, path in [
        (LOOSE, "schema.required"),
        ({**LOOSE, "required": ["a", "b"], "additionalProperties": True}, "schema.additionalProperties"),
        ({"type": "object", "properties": {"x": {"$ref": "#/$defs/D"}}, "required": ["x"],
          "additionalProperties": False, "$defs": {"D": {"type": "object", "properties": {}}}},
         "schema.$defs.D.additionalProperties"),
    ]:  # fmt: skip
        with pytest.raises(RequestError, match="`strict` is true") as refused:
            grammar.json_schema(schema, strict=True)
        assert refused.value.param == path
    grammar.json_schema({**LOOSE, "required": ["a", "b"]}, strict=True)


def test_spaces_are_bounded(grammars):
    compiled = enforced(grammars, {"type": "object"})
    assert accepts(compiled, '{\n    "a": [\n        1,\n        2\n    ]\n}') and accepts(compiled, '{"a":1}')
    assert not accepts(compiled, '{"a":   1}') and not accepts(compiled, '{\n\n"a": 1}')


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        (grammar.regex(r"^\d{3}/[a-c]+$"), ["123/abc"], ["12/a", "123/abcd", "x123/a"]),
        (grammar.choice(["yes", "no, \"never\"", "peut-être\n"]),
         ["yes", "no, \"never\"", "peut-être\n"], ["y", "yess", "no"]),
        (grammar.lark('start: "a" b+\nb: /[0-9]/'), ["a1", "a123"], ["a", "b1"]),
        (grammar.lark('root ::= "a" digit+\ndigit ::= [0-9]'), ["a1", "a123"], ["a", "b1"]),
        (grammar.json_object(), ['{"a": [1, null]}', "{}"], ["[]", "1"]),
    ],
)  # fmt: skip
def test_other_forms(grammars, text, good, bad):
    compiled = grammars.compile(text).result()
    assert all(accepts(compiled, one) for one in good) and not any(accepts(compiled, one) for one in bad)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: grammar.regex("(?=a)b", param="r"), "`r` cannot be enforced: .*look-ahead"),
        (lambda: grammar.regex("", param="r"), "`r` must not be empty"),
        (lambda: grammar.choice([], param="c"), "`c` must have at least one text"),
        (lambda: grammar.choice(["a", ""], param="c"), r"`c\[1\]` must be a text that is not empty"),
        (lambda: grammar.lark("start: nowhere", param="g"), "`g` cannot be enforced: .*nowhere"),
        (lambda: grammar.lark("root ::= [", param="g"), "`g` is not a GBNF grammar"),
    ],
)
def test_refusals_of_other_forms(make, words):
    with pytest.raises(RequestError, match=words):
        make()
