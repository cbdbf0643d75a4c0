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


def test_calls_and_results_are_words_and_results_of_one_turn_stand_together():
    call = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
    results = "<tool_response>\n3\n</tool_response>\n<tool_response>\n4\n</tool_response>"
    assert render(HISTORY) == f"[user]1 and 2?[assistant]{call}\n{call}[user]{results}[assistant]"


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
