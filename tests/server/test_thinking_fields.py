"""How a request says whether and how long a model thinks, for models that understand different things of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from creuset.core.errors import RequestError
from creuset.server.chat.thinking import ThinkingChoice, bounded, take_thinking
from creuset.server.model import ServedModel, describe
from creuset.testing import tiny_tokenizer
from creuset.text.template import ChatTemplate
from creuset.types.fields import Fields

TEMPLATES = {
    "never": "{% for m in messages %}{{ m.content }}{% endfor %}",
    "always": "{% for m in messages %}{{ m.content }}{% endfor %}<think>\n",
    "switch": "{% for m in messages %}{{ m.content }}{% endfor %}"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}",
    "deepseek": "{% for m in messages %}{{ m.content }}{% endfor %}{{ '<think>' if thinking else '</think>' }}",
    "degrees": "<|start|>system<|message|>Reasoning: {{ reasoning_effort }}<|end|>"
    "{% for m in messages %}{{ m.content }}{% endfor %}<|start|>assistant{# <|channel|> #}",
}


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, ServedModel]:
    ours = describe(folder, ["m"])
    found = {
        name: replace(ours, template=ChatTemplate(ours.tokenizer, {"default": text}))
        for name, text in TEMPLATES.items()
    }
    return found | {"ours": ours}


def read(model: ServedModel, **body: Any) -> tuple[ThinkingChoice, list[str]]:
    fields = Fields(body)
    choice = take_thinking(fields, model)
    fields.refuse_rest()
    return choice, list(fields.ignored)


def prompt(model: ServedModel, choice: ThinkingChoice) -> list[int]:
    said = [{"role": "user", "content": "hi"}]
    return model.template.encode(said, add_generation_prompt=True, **choice.kwargs).ids


@pytest.mark.parametrize(
    ("name", "body", "kwargs", "budget", "thought"),
    [
        ("never", {}, {}, None, "none"),
        ("never", {"enable_thinking": False}, {}, None, "none"),
        ("never", {"reasoning_effort": "none"}, {}, None, "none"),
        ("ours", {}, {}, None, "none"),
        ("ours", {"enable_thinking": True}, {"enable_thinking": True}, None, "may"),
        ("ours", {"enable_thinking": False}, {"enable_thinking": False}, None, "none"),
        ("always", {}, {}, None, "opened"),
        ("always", {"reasoning_effort": "high"}, {}, None, "opened"),
        ("always", {"enable_thinking": False}, {}, 0, "opened"),
        ("always", {"reasoning_effort": "none"}, {}, 0, "opened"),
        ("always", {"thinking_budget": 5}, {}, 5, "opened"),
        ("always", {"thinking_token_budget": 5}, {}, 5, "opened"),
        ("switch", {}, {}, None, "may"),
        ("switch", {"chat_template_kwargs": {"enable_thinking": False}}, {"enable_thinking": False}, None, "none"),
        ("switch", {"reasoning_effort": "minimal"}, {"enable_thinking": False}, None, "none"),
        ("switch", {"reasoning_effort": "low"}, {"enable_thinking": True}, None, "may"),
        ("deepseek", {}, {}, None, "none"),
        ("deepseek", {"enable_thinking": True}, {"thinking": True}, None, "opened"),
        ("deepseek", {"chat_template_kwargs": {"thinking": True}}, {"thinking": True}, None, "opened"),
        ("degrees", {}, {}, None, "may"),
        ("degrees", {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, None, "may"),
        ("degrees", {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high"}, None, "may"),
        ("degrees", {"reasoning_effort": "none"}, {}, 0, "may"),
        ("degrees", {"chat_template_kwargs": {"reasoning_effort": "low"}}, {"reasoning_effort": "low"}, None, "may"),
    ],
)  # fmt: skip
def test_each_model_is_told_what_it_understands(
    models: dict[str, ServedModel], name: str, body: dict[str, Any], kwargs: dict[str, Any], budget: int | None,
    thought: str,
) -> None:  # fmt: skip
    choice, ignored = read(models[name], **body)
    assert (choice.kwargs, choice.budget) == (kwargs, budget) and not ignored
    assert models[name].template.thought(prompt(models[name], choice), asked=choice.switched) == thought


@pytest.mark.parametrize(
    ("name", "body", "param", "words"),
    [
        ("never", {"enable_thinking": True}, "enable_thinking", "which this model does not do"),
        ("never", {"reasoning_effort": "low"}, "reasoning_effort", "which this model does not do"),
        ("never", {"thinking_budget": 3}, "thinking_budget", "a model that has none"),
        ("switch", {"reasoning_effort": "huge"}, "reasoning_effort", 'got "huge"'),
        ("switch", {"thinking_budget": -1}, "thinking_budget", "got -1"),
        ("switch", {"thinking_budget": 1, "thinking_token_budget": 2}, "thinking_token_budget", "says 1; got 2"),
        ("switch", {"enable_thinking": True, "chat_template_kwargs": {"enable_thinking": False}},
         "enable_thinking", "given twice"),
        ("switch", {"chat_template_kwargs": {"enable_thinking": 1}},
         "chat_template_kwargs.enable_thinking", "true or false"),
        ("switch", {"chat_template_kwargs": []}, "chat_template_kwargs", "must be an object"),
        ("switch", {"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools", "the other fields"),
        ("switch", {"include_reasoning": 1}, "include_reasoning", "true or false"),
    ],
)  # fmt: skip
def test_what_a_model_cannot_do_is_refused(
    models: dict[str, ServedModel], name: str, body: dict[str, Any], param: str, words: str
) -> None:
    with pytest.raises(RequestError) as refused:
        read(models[name], **body)
    assert refused.value.param == param and words in str(refused.value)


def test_a_variable_that_the_template_does_not_read_changes_nothing_and_is_named(
    models: dict[str, ServedModel],
) -> None:
    choice, ignored = read(models["switch"], chat_template_kwargs={"style": "terse", "enable_thinking": True})
    assert choice.kwargs == {"enable_thinking": True} and ignored == ["chat_template_kwargs.style"]


def test_a_budget_leaves_room_for_the_answer(models: dict[str, ServedModel]) -> None:
    model = models["always"]
    closing = tiny_tokenizer().encode_special("</think>\n\n")

    def plan(budget: int | None, asked: int | None, room: int) -> Any:
        choice, _ = read(model, **({"thinking_budget": budget} if budget is not None else {}))
        return bounded(choice, model, "opened", asked=asked, room=room, tools=True)

    assert plan(50, 100, 100).budget == 50 and list(plan(50, 100, 100).closing) == closing
    assert plan(None, 100, 100).budget is None
    assert plan(10_000, None, 400).budget == 400 - len(closing) - 100, "a quarter of the context is the answer's"
    assert plan(50, 100, 100).opened and plan(50, 100, 100).calls == ("<tool_call>",)
    with pytest.raises(RequestError, match="leaves no token to the answer: `max_completion_tokens` is 50") as refused:
        plan(48, 50, 50)
    assert refused.value.param == "thinking_budget"
    choice, _ = read(models["switch"])
    assert bounded(choice, models["switch"], "none", asked=None, room=10, tools=False) is None
