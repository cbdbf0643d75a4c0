"""A model whose template knows no tools is told of them in words, and its calls and their results are kept."""

from creuset.testing import tiny_tokenizer
from creuset.text.template import ChatTemplate
from creuset.types.messages import parse_messages

PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{{ '[assistant]' if add_generation_prompt }}"
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
HISTORY = [
    {"role": "user", "content": "1 and 2?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "3"},
    {"role": "tool", "tool_call_id": "2", "content": "4"},
]


def render(messages, **options):
    template = ChatTemplate(tiny_tokenizer(), {"default": PLAIN})
    return template.render(messages, add_generation_prompt=True, **options)


def test_tools_stand_in_the_system_message():
    plain = render(HISTORY[:1], tools=[TOOL])
    assert plain.startswith("[system]# Tools") and '{"type": "function", "function": {"name": "add"' in plain
    assert plain.endswith("</tool_call>[user]1 and 2?[assistant]")
    own = render([{"role": "system", "content": "Be brief."}, *HISTORY[:1]], tools=[TOOL])
    assert own.startswith("[system]Be brief.\n\n# Tools") and own.count("[system]") == 1


WAS_CALLED = 'The function add was called with {"a": 1} and returned:'
AS_WRITTEN = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'


def test_results_are_told_in_the_users_turn_and_no_turn_of_the_assistant_shows_a_call():
    assert render(HISTORY) == f"[user]1 and 2?\n\n{WAS_CALLED}\n3\n\n{WAS_CALLED}\n4[assistant]"


def test_what_was_said_beside_a_call_stays_the_assistants():
    said = [HISTORY[0], {**HISTORY[1], "content": "I add."}, *HISTORY[2:3], {"role": "assistant", "content": "3."}]
    told = f"[user]1 and 2?[assistant]I add.\n{AS_WRITTEN}[user]{WAS_CALLED}\n3[assistant]3.[assistant]"
    assert render(said) == told, "the second call has no result: it stays as the model wrote it"


def test_a_result_belongs_to_the_call_with_its_id():
    calls = [{**CALL, "id": id, "function": {"name": id, "arguments": "{}"}} for id in ("x", "y")]
    results = [{"role": "tool", "tool_call_id": id, "content": f"of {id}"} for id in ("y", "x")]
    told = render([HISTORY[0], {"role": "assistant", "content": None, "tool_calls": calls}, *results])
    assert "function y was called with {} and returned:\nof y\n\nThe function x" in told
    assert told.endswith("and returned:\nof x[assistant]")


def test_the_form_of_the_answer_is_told_behind_the_tools():
    tokenizer = tiny_tokenizer()
    template = ChatTemplate(tokenizer, {"default": PLAIN})
    form = {"type": "object", "required": ["sum"]}
    ids = template.encode(HISTORY[:1], tools=[TOOL], form=form, add_generation_prompt=True).ids
    told = (
        'Answer with JSON that follows this schema:\n{"type": "object", "required": ["sum"]}[user]1 and 2?[assistant]'
    )
    assert tokenizer.decode(ids).endswith("</tool_call>\n\n" + told)
    assert template.encode(HISTORY[:1], form=form).ids == template.encode(HISTORY[:1]).ids, "without tools: as before"


def test_without_tools_nothing_is_changed():
    assert render(HISTORY[:1]) == render(HISTORY[:1], tools=[]) == "[user]1 and 2?[assistant]"


def test_arguments_that_broke_off_are_shown_as_they_are():
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": '}}
    source = (
        "tools {% for m in messages %}{% for c in m.tool_calls %}{{ c.function.arguments }}{% endfor %}{% endfor %}"
    )
    template = ChatTemplate(tiny_tokenizer(), {"default": source})
    history = parse_messages([{"role": "assistant", "content": None, "tool_calls": [call]}], "strict")
    assert template.render(history) == 'tools {"a": '
