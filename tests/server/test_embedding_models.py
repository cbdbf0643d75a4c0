"""Models that were made for embeddings: rows as transformers and the definition of their pooling give them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from creuset.core.errors import ArtifactError
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.formats.pooling import Pooling, pooling_of
from creuset.server.model import describe
from creuset.server.retrieval.measured import embeddings_of
from creuset.server.retrieval.requests import parse_embeddings, parse_rerank, token_text
from creuset.server.retrieval.vectors import numbers
from creuset.testing import tiny_tokenizer
from creuset.types.fields import Fields
from creuset.types.generation import GenerationRequest, Sampling

TEXTS = ["The cat sat on the mat.", "Où est l'école ?"]


def folder_of(path: Path, pooling: dict[str, Any], *, tied: bool = True, more: tuple[str, ...] = ()) -> Path:
    """A Qwen3 without its head, saved by transformers, with the files of sentence-transformers beside it."""
    from transformers import Qwen3Config, Qwen3Model

    torch.manual_seed(3)
    tokenizer = tiny_tokenizer()
    config = Qwen3Config(
        vocab_size=tokenizer.vocab_size, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        max_position_embeddings=128, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
        tie_word_embeddings=tied, use_cache=False,
    )  # fmt: skip
    Qwen3Model(config).eval().save_pretrained(path)
    tokenizer.save(path)
    framed(path / "tokenizer.json")
    kinds = ["Transformer", "Pooling", "Normalize", *more]
    types = [f"sentence_transformers.models.{kind}" for kind in kinds]
    places = ["", "1_Pooling", *(f"{at + 2}_{kind}" for at, kind in enumerate(kinds[2:]))]
    modules = [{"idx": at, "name": str(at), "path": place, "type": kind}
               for at, (place, kind) in enumerate(zip(places, types, strict=True))]  # fmt: skip
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_Pooling").mkdir()
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    prompts = {"query": "Find: ", "document": "", "other": "x"}
    (path / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    return path


def framed(file: Path) -> None:
    """The tokenizer puts its end token behind each text, as that of Qwen3's embedding models does."""
    found = json.loads(file.read_text())
    end = next(one for one in found["added_tokens"] if one["content"] == "<|endoftext|>")
    found["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": end["content"], "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {end["content"]: {"id": end["content"], "ids": [end["id"]], "tokens": [end["content"]]}},
    }
    file.write_text(json.dumps(found))


def definition(path: Path, text: str, mode: str) -> list[float]:
    """The row that transformers' last hidden state gives, by the tokenizer's own encoding."""
    from transformers import AutoModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path / "tokenizer.json"))
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        hidden_TC = AutoModel.from_pretrained(path, dtype=torch.float32)(ids).last_hidden_state[0].double()
    row_C = {"mean": hidden_TC.mean(0), "last": hidden_TC[-1], "first": hidden_TC[0]}[mode]
    found: list[float] = (row_C / row_C.norm()).tolist()
    return found


def rows(path: Path, prompts: list[list[int]], mode: Any) -> list[tuple[float, ...]]:
    engine = Engine.load(path, settings=EngineSettings(dtype="fp32", seed=0, threads=1))
    for at, ids in enumerate(prompts):
        engine.add(GenerationRequest(id=str(at), prompt=ids, sampling=Sampling(max_tokens=0), whole=True, embeds=mode))
    found: dict[str, bytes] = {}
    while engine.busy:
        found |= {event.id: event.embedding for event in engine.step() if event.embedding is not None}
    return [numbers(found[str(at)]) for at in range(len(prompts))]


@pytest.mark.parametrize(
    ("pooling", "mode", "tied"),
    [
        ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "last", True),
        ({"pooling_mode": "lasttoken", "include_prompt": True}, "last", False),
        ({"pooling_mode_mean_tokens": True, "word_embedding_dimension": 32}, "mean", True),
        ({"pooling_mode_cls_token": True}, "first", True),
    ],
)
def test_rows_are_those_of_transformers(tmp_path: Path, pooling: dict[str, Any], mode: str, tied: bool) -> None:
    path = folder_of(tmp_path / "model", pooling, tied=tied)
    model = describe(path)
    assert model.pooling == Pooling(mode=mode, trained=True, prompts={"query": "Find: ", "document": ""})  # type: ignore[arg-type]
    ask = parse_embeddings(Fields({"input": TEXTS}), model)
    assert all(text.ids[-1] == tiny_tokenizer().special["<|endoftext|>"] for text in ask.texts)
    for text, row in zip(TEXTS, rows(path, [one.ids for one in ask.texts], mode), strict=True):
        assert row == pytest.approx(definition(path, text, mode), abs=2e-5)
    told = embeddings_of(model)
    assert told["trained_for_retrieval"] is True and (mode == "mean") == told["method"].startswith("the mean")


def test_what_is_compared_stands_behind_what_the_makers_put_before_it(tmp_path: Path) -> None:
    model = describe(folder_of(tmp_path / "model", {"pooling_mode_lasttoken": True}))
    ask = parse_rerank(Fields({"query": "a cat", "documents": ["a dog"]}), model)
    assert ask.query.ids == token_text("Find: a cat", "", model).ids
    assert ask.documents[0].ids == token_text("a dog", "", model).ids


@pytest.mark.parametrize(
    ("pooling", "more", "words"),
    [
        (
            {"pooling_mode_max_tokens": True},
            (),
            "its pooling is `max_tokens`, and only mean, lasttoken and cls run here",
        ),
        ({"pooling_mode_mean_tokens": True}, ("Dense",), "it ends in a module that does not run here: Dense"),
        ({}, (), "its pooling is `none`"),
    ],
)
def test_what_does_not_run_here_is_refused_by_name(
    tmp_path: Path, pooling: dict[str, Any], more: tuple[str, ...], words: str
) -> None:
    model = describe(folder_of(tmp_path / "model", pooling, more=more))
    with pytest.raises(Exception, match="model makes no embeddings here: " + words):
        parse_embeddings(Fields({"input": "a"}), model)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "model", {"pooling_mode_lasttoken": True})
    (path / "1_Pooling" / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"1_Pooling/config.json` is not JSON"):
        pooling_of(path)
    (path / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ArtifactError, match=r"1_Pooling/config.json` is missing"):
        pooling_of(path)
    (path / "modules.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"modules.json` must hold a list of modules"):
        pooling_of(path)
