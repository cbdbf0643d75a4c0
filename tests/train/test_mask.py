"""What fine-tuning learns from: the assistant's words and nothing else, held against transformers from end to end."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.cli import main
from creuset.core.artifact import new_artifact
from creuset.core.errors import DataError
from creuset.data.shards.batches import PackedRow
from creuset.testing import tiny_model_folder, tiny_tokenizer
from creuset.text.chat import encode_chat
from creuset.train.dialogues.source import Dialogue, DialogueSource
from creuset.train.settings import Finetune, Optim

# ChatML with the marks by which transformers finds the assistant's own tokens.
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}"
    "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
)


def said(*turns: str) -> list[dict[str, Any]]:
    """Turns of the user and the assistant, one after the other."""
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(turns)]


DIALOGUES = [
    said("Hi", "Hello!"),
    said("Where is the cat?", "On the mat.", "And the dog?", "The dog ran to the river."),
    [{"role": "system", "content": "Be kind."}, *said("What is a river?", "It is water that flows.")],
    said("Où est l'école ?", "Elle est là-bas.", "Merci", "De rien."),
]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tokenizer as transformers loads it."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_tokenizer().save(folder)
    return AutoTokenizer.from_pretrained(folder)


def by_transformers(theirs: Any, messages: list[dict[str, Any]]) -> tuple[list[int], list[int]]:
    found = theirs.apply_chat_template(
        copy.deepcopy(messages), chat_template=CHATML, return_dict=True, return_assistant_tokens_mask=True
    )
    return found["input_ids"], found["assistant_masks"]


@pytest.mark.parametrize("messages", DIALOGUES)
def test_ids_and_mask_are_those_of_transformers(theirs: Any, messages: list[dict[str, Any]]) -> None:
    found = encode_chat(tiny_tokenizer(), messages)
    assert (found.ids, found.mask) == by_transformers(theirs, messages)


def test_a_reply_of_weight_0_is_read_and_not_learned(theirs: Any) -> None:
    messages = said("Where is the cat?", "I do not care.", "Where is it?", "On the mat.")
    ids, mask = by_transformers(theirs, messages)
    messages[1]["weight"] = 0
    found = encode_chat(tiny_tokenizer(), messages)
    last = mask.index(1, mask.index(0, mask.index(1)))  # where the second reply begins
    assert found.ids == ids and found.mask == [0] * last + mask[last:]


def words(*marked: int) -> Dialogue:
    """Ids 10, 11, ...; an entry of 1 is trained on."""
    return np.arange(10, 10 + len(marked), dtype=np.uint32), np.array(marked, np.uint8)


def test_the_weight_of_a_target_is_the_mask_of_the_token_it_is() -> None:
    source = DialogueSource([words(0, 0, 1, 1, 0, 1)], context=8, seed=1, pad=3)
    row: PackedRow = source.next_row()
    assert row.inputs.tolist() == [10, 11, 12, 13, 14, 3, 3, 3]
    assert row.targets.tolist() == [11, 12, 13, 14, 15, 3, 3, 3]
    assert row.weights.tolist() == [0, 1, 1, 0, 1, 0, 0, 0], "padding and others' words have no weight"
    assert row.starts.tolist() == [0, 5], "padding is a sequence of its own"


def test_every_dialogue_comes_once_an_epoch_whole_and_as_its_own_sequence() -> None:
    draw = np.random.default_rng(4)
    dialogues = [(draw.integers(10, 300, n).astype(np.uint32), np.ones(n, np.uint8)) for n in draw.integers(2, 20, 60)]
    source = DialogueSource(dialogues, context=24, seed=1, pad=3)
    for _ in range(2):
        seen = []
        for _ in range(len(source.rows)):
            row = source.next_row()
            for a, b in zip(row.starts, [*row.starts[1:], 24], strict=True):
                if row.weights[a:b].any():
                    seen.append((*row.inputs[a:b].tolist(), int(row.targets[b - 1])))
        assert sorted(seen) == sorted(tuple(ids.tolist()) for ids, _ in dialogues)


def recipe() -> Finetune:
    """One step over all dialogues with a rate too small to move anything: its loss is that of the model given."""
    return Finetune(
        name="mask", steps=1, tokens_per_step=256, tokens_per_microbatch=128, context=128, precision="fp32",
        evaluate_every=0, optim=Optim(lr=1e-9, matrix_lr=1e-9, warmup_steps=1),
    )  # fmt: skip


def test_the_loss_that_fine_tuning_reports_is_transformers_over_the_assistants_tokens(
    theirs: Any, tmp_path: Path
) -> None:
    """The whole verb beside `Qwen3MoeForCausalLM` with labels of -100 for everybody else."""
    from transformers import AutoModelForCausalLM

    model = tmp_path / "model"
    with new_artifact(model, kind="model") as scratch:
        tiny_model_folder(scratch)
    talk = tmp_path / "talk.jsonl"
    talk.write_text("".join(json.dumps({"messages": m}) + "\n" for m in DIALOGUES))
    command = ["tune", "sft", f"{__name__}:recipe", "--model", str(model), "--dialogues", str(talk), "--threads", "1"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    events = [json.loads(line) for line in (tmp_path / "run/events.jsonl").read_text().splitlines()]
    (step,) = (event for event in events if event["event"] == "step")

    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    nats, trained = 0.0, 0
    for messages in DIALOGUES:
        ids, mask = (torch.tensor([part]) for part in by_transformers(theirs, messages))
        count = int(mask.sum())
        with torch.no_grad():
            nats += network(input_ids=ids, labels=ids.masked_fill(mask == 0, -100)).loss.item() * count
        trained += count
    assert step["trained"] == trained
    assert step["loss"] == pytest.approx(nats / trained, rel=1e-5)


def test_rows_begin_with_the_first_of_their_order_and_the_cursor_counts_them() -> None:
    source = DialogueSource([words(0, 1, 1, 1)] * 6, context=4, seed=1, pad=3)
    assert source.cursor() == {"epoch": 0, "place": 0}
    for place in range(1, len(source.rows) + 1):
        source.next_row()
        assert source.cursor() == {"epoch": 0, "place": place}
    source.next_row()
    assert source.cursor() == {"epoch": 1, "place": 1}


def test_a_dialogue_longer_than_a_row_or_with_nothing_to_learn_is_left_out() -> None:
    """One token more than the context fits: the last is a target only."""
    source = DialogueSource([words(0, 1, 1, 1, 1)], context=4, seed=1, pad=3)
    assert source.left_out == 0 and source.next_row().inputs.tolist() == [10, 11, 12, 13]
    kept = DialogueSource([words(0, 1), words(0, 1, 1, 1, 1, 1), words(1), words(1, 0, 0)], context=4, seed=1, pad=3)
    assert kept.left_out == 3 and len(kept.rows) == 1
    with pytest.raises(DataError, match="none of 1 dialogues fits in 4 tokens with something to train on"):
        DialogueSource([words(1, 0, 0)], context=4, seed=1, pad=3)
