"""Fine-tuning under a template of another model: what is learned, or why it cannot be."""

import json
from pathlib import Path
from typing import Any

import pytest

from creuset.core.errors import ConfigError, DataError, RequestError
from creuset.text.template import ChatTemplate
from creuset.text.training import encode_dialogue
from creuset.train.dialogues.encode import encode_dialogues
from creuset.train.finetune import finetune
from creuset.train.settings import Finetune, Optim
from tests.text.conversations import CLOCK, assistant, system, user
from tests.text.families import FOLDER, of, ours, tokenizer
from tests.text.foreign import write

DIALOGUES = [
    [user("Hi"), assistant("Hello!")],
    [user("Where is the cat?"), assistant("On the mat. <|im_end|></s>"), user("And the dog?"), assistant("It ran.")],
    [user("Où est l'école ?"), assistant("Elle est là-bas."), user("Merci"), assistant("De rien 👩‍👩‍👧.")],
]
# Families whose template keeps every turn as it was generated, with the token that ends a turn.
ENDS = {"llama3": "<|eot_id|>", "llama2": "</s>", "mistral": "</s>", "gemma": "<end_of_turn>", "phi": "<|end|>",
        "smollm2": "<|im_end|>", "olmo": "<|endoftext|>"}  # fmt: skip


def learned(template: ChatTemplate, messages: list[dict[str, Any]], *ends: str) -> list[str]:
    """The texts with mask 1, run by run."""
    words = template.tokenizer
    found = encode_dialogue(template, messages, frozenset(words.special[end] for end in ends))
    assert found.ids == template.encode(messages).ids and len(found.mask) == len(found.ids)
    runs: list[list[int]] = [[]]
    for id, mask in zip(found.ids, found.mask, strict=True):
        if mask:
            runs[-1].append(id)
        elif runs[-1]:
            runs.append([])
    return [words.decode(run) for run in runs if run]


@pytest.mark.parametrize("family", ENDS)
@pytest.mark.parametrize("messages", DIALOGUES)
def test_each_turn_is_learned_through_its_end_behind_exactly_its_prompt(family, messages):
    template, end = ours(family), ENDS[family]
    found = encode_dialogue(template, messages, frozenset([template.tokenizer.special[end]]))
    said = [message["content"] for message in messages if message["role"] == "assistant"]
    runs = learned(template, messages, end)
    assert [run.removesuffix(end).strip() for run in runs] == said and all(run.endswith(end) for run in runs)
    for at in range(1, len(messages), 2):
        prompt = template.encode(messages[:at], add_generation_prompt=True).ids
        assert found.ids[: len(prompt)] == prompt and found.mask[len(prompt)] == 1 and found.mask[len(prompt) - 1] == 0


@pytest.mark.parametrize("messages", [*DIALOGUES, [system(""), *DIALOGUES[1]]])
def test_marked_blocks_are_those_of_transformers(messages, tmp_path):
    from transformers import PreTrainedTokenizerFast

    source = (FOLDER / "generation.jinja").read_text(encoding="utf-8")
    plain = [m | {"content": m["content"].replace("<|im_end|>", "")} for m in messages]  # they take it for the token
    theirs = PreTrainedTokenizerFast.from_pretrained(write(tmp_path / "m", "smollm2"))
    peer = theirs.apply_chat_template(plain, chat_template=source, return_dict=True, return_assistant_tokens_mask=True)
    found = encode_dialogue(ChatTemplate(tokenizer("smollm2"), {"default": source}), plain, frozenset())
    assert (found.ids, found.mask) == (peer["input_ids"], peer["assistant_masks"])


def test_a_turn_of_weight_0_is_read_and_not_learned():
    messages = [user("a"), assistant("b", weight=0), user("c"), assistant("d")]
    for template, ends in ((ours("smollm2"), ["<|im_end|>"]), (ours("eurollm"), [])):
        assert learned(template, messages, *ends) == ["d<|im_end|>"]


@pytest.mark.parametrize(
    ("template", "messages", "ends", "words"),
    [
        (ours("smollm2"), DIALOGUES[0], [], "`messages[1]`: no token ends this turn"),
        (ours("smollm2"), [assistant("x")], ["<|im_end|>"],
         "`messages[0]`: the dialogue does not begin with the prompt"),
        (ours("qwen3"), [user("a"), assistant("b", reasoning_content="r"), user("c"), assistant("d")], ["<|im_end|>"],
         None),
        (of("{% for m in messages %}<|im_start|>{{ m.content[:3] }}<|im_end|>{% endfor %}{{ '<|im_start|>' if "
            "add_generation_prompt }}"), [user("a"), assistant("longer")], ["<|im_end|>"],
         "does not show all of this turn"),
        (of("{{ messages | length }}{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"),
         DIALOGUES[0], ["<|im_end|>"], "does not begin with the prompt"),
        (of("{% generation %}{{ messages[1].content }}{% endgeneration %}"), DIALOGUES[1], [], "marks 1 turns"),
        (of("<|im_start|>th{% generation %}e cat{% endgeneration %}"), DIALOGUES[0], [],
         "a token reaches over the edge"),
    ],
)  # fmt: skip
def test_what_cannot_be_known_to_be_right_is_refused(template, messages, ends, words):
    ids = frozenset(template.tokenizer.special[end] for end in ends)
    if words is None:
        assert sum(encode_dialogue(template, messages, ids).mask) > 0
        return
    with pytest.raises(RequestError) as refused:
        encode_dialogue(template, messages, ids)
    assert words in str(refused.value)


def test_a_dialogue_that_is_refused_is_left_out_and_a_file_of_them_is_an_error(tmp_path, capsys):
    template, file = ours("mistral"), tmp_path / "d.jsonl"
    odd = [user("a"), user("b"), assistant("c")]
    rows = [json.dumps({"messages": messages}) for messages in (DIALOGUES[0], odd)]
    file.write_text("\n".join(rows))
    assert len(encode_dialogues([file], template.tokenizer, 500, template=template)) == 1
    assert "1 bad lines left out" in capsys.readouterr().err
    file.write_text(rows[1])
    with pytest.raises(DataError, match="holds no dialogue") as refused:
        encode_dialogues([file], template.tokenizer, 500, template=template)
    assert "conversation roles must alternate" in refused.value.hint


def test_a_model_with_its_own_template_is_tuned_and_keeps_it(tmp_path: Path):
    from creuset.model.formats.weights import save_model
    from creuset.model.hub import end_ids
    from creuset.testing import tiny_config, tiny_model
    from creuset.text.tokenizer import Tokenizer

    model = tmp_path / "model"
    save_model(tiny_model(tiny_config("llama", vocab_size=1024)), model)
    write(model, "llama3")
    words = Tokenizer.load(model)
    generation = json.loads((model / "generation_config.json").read_text())
    ends = sorted(words.special[name] for name in ("<|eot_id|>", "<|end_of_text|>"))
    (model / "generation_config.json").write_text(json.dumps(generation | {"eos_token_id": ends}))
    file = tmp_path / "d.jsonl"
    file.write_text("\n".join(json.dumps({"messages": messages}) for messages in DIALOGUES * 4))
    settings = Finetune(
        name="mask", steps=1, tokens_per_step=256, tokens_per_microbatch=128, context=128, precision="fp32",
        evaluate_every=0, optim=Optim(lr=1e-9, matrix_lr=1e-9, warmup_steps=1),
    )  # fmt: skip
    finetune(settings, model=model, dialogues=[file], out=tmp_path / "run")
    made = tmp_path / "run" / "model"
    tuned = ChatTemplate.load(made, Tokenizer.load(made))
    assert tuned.source == ChatTemplate.load(model, words).source and not tuned.is_ours
    assert end_ids(made) == set(ends) and tuned.tokenizer.identity == words.identity

    (model / "tokenizer_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="has no chat template: what it would learn"):
        finetune(settings, model=model, dialogues=[file], out=tmp_path / "bare")


def test_shipping_and_exporting_keep_the_templates(tmp_path: Path):
    from creuset.core.artifact import new_artifact
    from creuset.model.formats.huggingface import export
    from creuset.model.formats.weights import save_model
    from creuset.model.ship import ship
    from creuset.testing import tiny_config, tiny_model
    from creuset.text.tokenizer import Tokenizer

    with new_artifact(tmp_path / "model", kind="model") as scratch:
        save_model(tiny_model(tiny_config("llama", vocab_size=1024)), scratch)
        write(scratch, "llama3")  # its configuration has a template; the files count
        (scratch / "chat_template.jinja").write_text("file {{ messages[0].content }}")
        (scratch / "additional_chat_templates").mkdir()
        (scratch / "additional_chat_templates" / "tool_use.jinja").write_text("tools {{ messages[0].content }}")
    shipped = ship(tmp_path / "model", tmp_path / "shipped")
    export(tmp_path / "model", tmp_path / "exported")
    for path in (shipped, tmp_path / "exported"):
        kept = ChatTemplate.load(path, Tokenizer.load(path))
        assert kept.render([user("x")]) == "file x"
        assert kept.render([user("x")], tools=[CLOCK]) == "tools x"
