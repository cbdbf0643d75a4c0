"""Every family of models: ours = transformers', through the training forward and through the engine."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from creuset.core.errors import ArtifactError
from creuset.engine.backend.torch.runner import choose
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.model.attention import Packed
from creuset.model.count import parameters
from creuset.model.families import FAMILIES
from creuset.model.formats.hf_config import config_of
from creuset.model.formats.weights import load_model, open_weights, parts, save_model
from creuset.model.quant import PLANS, quantize_folder
from creuset.model.transformer import Transformer
from creuset.testing import tiny_config, tiny_model, tiny_tokenizer
from creuset.types.generation import Event, GenerationRequest, Sampling
from tests.model.family_shapes import DENSE

PROMPT, ANSWER = 90, 200  # tokens: the prompt is longer than windows and original contexts
SHAPES = DENSE


def shape(name: str) -> Any:
    family, changes = SHAPES[name]
    return tiny_config(family, **({"context": 512} | changes))


def model_of(name: str) -> Transformer:
    """Random in every weight: norms and biases, which begin as 1 and 0, would prove nothing."""
    model = tiny_model(shape(name), seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(torch.randn(weight.shape, generator=generator) * 0.3)
    return model


def folder_of(name: str, path: Path, **options: Any) -> Path:
    save_model(model_of(name), path, dtype="fp32", **options)
    return path


def theirs_in(folder: Path) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def prompt(seed: int, length: int = PROMPT) -> list[int]:
    return torch.randint(0, 500, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


@torch.inference_mode()
def logprobs(model: torch.nn.Module, ids: list[int]) -> Tensor:
    """(T, V), by our forward or by transformers'."""
    row = torch.tensor(ids)
    if isinstance(model, Transformer):
        return model.logits(model(row, torch.arange(len(ids)), Packed([len(ids)]))).log_softmax(-1)
    return model(row[None]).logits[0].log_softmax(-1)


def engine_of(folder: Path, **settings: Any) -> Engine:
    chosen = EngineSettings(**({"dtype": "fp32", "seed": 1, "block_size": 16} | settings))
    runner = choose(open_weights(folder), dtype="fp32", threads=1, max_batch_tokens=chosen.max_batch_tokens)
    return Engine(runner, tiny_tokenizer(), settings=chosen, end_ids=[])


def answers(engine: Engine, asks: dict[str, list[int]], max_tokens: int = ANSWER) -> dict[str, tuple[Any, ...]]:
    """Greedy: (tokens, log-probabilities) of each request, all asked at once."""
    sampling = Sampling(max_tokens=max_tokens, temperature=0.0, logprobs=1, ignore_eos=True)
    for id, ids in asks.items():
        engine.add(GenerationRequest(id=id, prompt=ids, sampling=sampling))
    found: dict[str, list[Event]] = {id: [] for id in asks}
    while engine.busy:
        for event in engine.step():
            assert not event.error, event.error
            found[event.id].append(event)
        engine.check()
    return {
        id: (
            [token for event in events for token in event.tokens],
            [one.logprob for event in events for one in event.logprobs or ()],
        )
        for id, events in found.items()
    }


@pytest.mark.parametrize("name", SHAPES)
def test_log_probabilities_and_greedy_text_equal_those_of_transformers(name: str, tmp_path: Path) -> None:
    """In the engine beside another request, the prompt cut in three and read into a paged cache."""
    folder = folder_of(name, tmp_path)
    theirs, ids = theirs_in(folder), prompt(1)
    engine = engine_of(folder, max_batch_tokens=40, max_running=4)
    tokens, chosen = answers(engine, {"one": ids, "other": prompt(2, 33)})["one"]
    assert len(tokens) == ANSWER and len(set(tokens)) > 3, "an answer that is all alike proves nothing"

    wanted = logprobs(theirs, ids + tokens)
    assert wanted.std() > 0.1, "log-probabilities that are all alike prove nothing"
    ours = logprobs(load_model(folder), ids + tokens)
    assert (ours - wanted).abs().max() <= 1e-4
    answered = wanted[PROMPT - 1 : -1]
    assert (answered[torch.arange(ANSWER), tokens] - torch.tensor(chosen)).abs().max() <= 1e-4
    # Greedy: each token is the likeliest after all those before it.
    assert (answered.max(-1).values - answered[torch.arange(ANSWER), tokens]).max() <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_generate_of_transformers_writes_the_same_text(name: str, tmp_path: Path) -> None:
    """As above, but by its own loop over its own cache; short prompts too, which grow beyond windows and contexts."""
    folder = folder_of(name, tmp_path)
    theirs, engine = theirs_in(folder), engine_of(folder)
    for ids in (prompt(1), prompt(2, 7), prompt(3, 50)):
        tokens, _ = answers(engine, {"one": ids})["one"]
        row = theirs.generate(
            torch.tensor([ids]), do_sample=False, max_new_tokens=ANSWER, eos_token_id=None, pad_token_id=0
        )
        assert row[0, len(ids) :].tolist() == tokens


@pytest.mark.parametrize("name", ["mistral, window", "gemma2", "gemma3", "phi3, longrope", "olmo2", "apertus"])
def test_an_answer_does_not_depend_on_what_happens_around_it(name: str, tmp_path: Path) -> None:
    """Bit for bit: alone, in a crowd, from the prefix cache, the prompt in small pieces, computed again."""
    folder = folder_of(name, tmp_path)
    asks = {"far": prompt(6, 290), "grows": prompt(2, 50), "grows too": prompt(2, 48) + prompt(3, 3), "short": [4, 5]}
    quiet = engine_of(folder, prefix_cache=False)
    alone = {id: answers(quiet, {id: ids}, 30)[id] for id, ids in asks.items()}
    crowd = engine_of(folder)
    assert answers(crowd, asks, 30) == alone
    assert answers(crowd, asks, 30) == alone and crowd.stats()["cached_tokens_total"] > 0
    tight = engine_of(folder, kv_tokens=352, block_size=4, max_batch_tokens=17, max_running=4)
    assert answers(tight, asks, 30) == alone and tight.stats()["preemptions"] > 0


def test_a_request_that_grows_beyond_the_border_is_computed_anew_and_finds_only_what_was_computed_like_it(
    tmp_path: Path,
) -> None:
    folder = folder_of("phi3, longrope", tmp_path)
    engine, model, ids = engine_of(folder), load_model(folder), prompt(1, 60)

    def computed(id: str, ids: list[int]) -> int:
        before = engine.stats()["computed_tokens_total"]
        answers(engine, {id: ids}, 10)
        return int(engine.stats()["computed_tokens_total"] - before)

    computed("within", prompt(5, 40))
    # What was computed of its first two blocks within the border is of no use to a longer prompt.
    assert computed("beyond", prompt(5, 40) + prompt(6, 30)) == 70 + 9
    # 60 of the prompt and 4 of the answer within the border of 64; then all 65, and 4 more.
    assert computed("first", ids) == 60 + 4 + 65 + 4
    # The definition: the whole text through the model for each token, turned as its length says.
    text = list(ids)
    for _ in range(10):
        text.append(int(logprobs(model, text)[-1].argmax()))
    assert answers(engine, {"again": ids}, 10)["again"][0] == text[60:]
    # Of its twin, the first three blocks are found, and beyond the border four.
    assert computed("twin", ids) == (60 - 48) + 4 + 1 + 4
    # A prompt beyond the border finds what others left there.
    assert computed("late", prompt(1, 70)) == 70 + 9 - 48


@pytest.mark.parametrize("name", SHAPES)
def test_what_transformers_saves_is_read_whole_in_every_kind_of_file(name: str, tmp_path: Path) -> None:
    """In turn: fp32 in one file, fp16 in shards, bf16 in one file."""
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype, size = [(torch.float32, "1GB"), (torch.float16, "20KB"), (torch.bfloat16, "1GB")][
        list(SHAPES).index(name) % 3
    ]
    folder_of(name, tmp_path / "shape")
    torch.manual_seed(2)
    theirs = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tmp_path / "shape"), dtype=dtype).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size=size)
    assert (len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1) == (size == "20KB")
    ours = load_model(tmp_path / "theirs")
    assert ours.config == shape(name)
    ids = prompt(1)
    assert (logprobs(ours, ids) - logprobs(theirs_in(tmp_path / "theirs"), ids)).abs().max() <= 1e-4


@pytest.mark.parametrize("name", SHAPES)
def test_every_weight_comes_from_the_file_and_every_number_of_the_file_is_a_weight(name: str, tmp_path: Path) -> None:
    folder = folder_of(name, tmp_path)
    with torch.device("meta"):
        wanted = {part: view.numel() for part, view in parts(Transformer(shape(name))).items()}
    found = {tensor.name: tensor.codes.size for tensor in open_weights(folder).tensors()}
    stored = load_file(folder / "model.safetensors")
    assert found == wanted
    assert sum(found.values()) == sum(tensor.numel() for tensor in stored.values()) == parameters(shape(name)).total


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("phi3, window", "model.layers.1.self_attn.qkv_proj.weight"),
        ("olmo2", "model.layers.0.post_feedforward_layernorm.weight"),
        ("apertus", "model.layers.1.mlp.act_fn.alpha_p"),
        ("apertus", "model.layers.1.attention_layernorm.weight"),
        ("gemma3", "model.layers.0.pre_feedforward_layernorm.weight"),
        ("mistral", "lm_head.weight"),
    ],
)
def test_a_missing_wrong_or_foreign_tensor_is_named_as_the_file_names_it(name: str, lost: str, tmp_path: Path) -> None:
    folder = folder_of(name, tmp_path)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    whole = tensors.pop(lost)

    def refusal(**change: Tensor) -> str:
        save_file(tensors | change, file, metadata={"format": "pt"})
        with pytest.raises(ArtifactError) as refused:
            load_model(folder)
        return str(refused.value)

    assert f"tensor `{lost}` is missing" in refusal()
    longer = torch.cat((whole, whole))
    assert f"tensor `{lost}` has shape {list(longer.shape)}" in refusal(**{lost: longer})
    foreign = "model.layers.0.self_attn.rotary_bias"
    assert f"tensor `{foreign}` is not part of the model" in refusal(**{lost: whole, foreign: torch.zeros(3)})


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("llama", {"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported in llama, only 'silu'"),
        ("llama", {"rope_scaling": {"rope_type": "spiral", "factor": 2.0}}, "rotary scaling `spiral`"),
        (
            "llama",
            {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 64}},
            "original_max_position_embeddings is 64 and max_position_embeddings",
        ),
        ("llama", {"rope_scaling": {"rope_type": "dynamic"}}, "`factor` is missing or not a number"),
        ("llama", {"logit_scale": 0.5}, "logit_scale = 0.5 is not known for llama"),
        ("llama", {"sliding_window": 24}, "sliding_window = 24 is not known for llama"),
        ("llama", {"layer_types": ["full_attention", "linear_attention"]}, "`linear_attention`"),
        ("llama", {"layer_types": ["full_attention"]}, "layer_types must be 2 of"),
        ("llama", {"attention_bias": "yes"}, "`attention_bias` is neither true nor false, got 'yes'"),
        ("mistral", {"attention_bias": True}, "attention_bias = True is not known for mistral"),
        ("mistral", {"layer_types": ["full_attention", "sliding_attention"]}, "layer_types has `sliding_attention`"),
        ("qwen2, upper windows", {"attention_bias": False}, "attention_bias = False is not supported in qwen2"),
        ("gemma3", {"use_bidirectional_attention": True}, "use_bidirectional_attention = True"),
        ("gemma3", {"hidden_activation": "gelu"}, "hidden_activation = 'gelu'"),
        (
            "gemma3",
            {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}, "full_attention": {}}},
            "rotary scaling `linear` of layers with a sliding window",
        ),
        (
            "phi3, longrope",
            {"rope_scaling": {"type": "longrope", "short_factor": [1.0]}},
            "`long_factor` is not a list",
        ),
        (
            "phi3, longrope",
            {"rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.0], "long_factor": [1.0, 1.0]}},
            "long_factor must have 3 values, one for each rotated pair, got 2",
        ),
        ("phi3, window", {"partial_rotary_factor": 0.4}, "rotary_dim must be even"),
        ("olmo2", {"clip_qkv": 8.0}, "clip_qkv = 8.0 is not known for olmo2"),
        ("apertus", {"qk_norm": False}, "qk_norm = False is not supported in apertus, only True"),
        ("apertus", {"post_norm": True}, "post_norm = True is not known for apertus"),
    ],
)
def test_what_a_family_does_not_compute_is_refused_by_name(
    name: str, change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    folder = folder_of(name, tmp_path)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ArtifactError) as refused:
        config_of(folder)
    assert words in str(refused.value)


def test_switches_that_are_off_and_fields_that_compute_nothing_are_no_hindrance(tmp_path: Path) -> None:
    folder = folder_of("llama", tmp_path)
    file = folder / "config.json"
    more = {
        "pretraining_tp": 1,
        "rope_interleaved": False,
        "is_llama_config": True,
        "transformers.js_config": {"dtype": "q4"},
        "_name_or_path": "x",
        "logit_scale": None,
        "sliding_window": None,
    }
    file.write_text(json.dumps(json.loads(file.read_text()) | more))
    assert config_of(folder) == shape("llama")


def test_each_layer_rope_and_window_can_be_said_in_the_words_of_old_and_new_files(tmp_path: Path) -> None:
    """Gemma 3 as it lies on the hub (a pattern, two bases) and as transformers 5 writes it."""
    folder = folder_of("gemma3", tmp_path)
    file = folder / "config.json"
    found = json.loads(file.read_text())
    for name in ("layer_types", "rope_theta", "rope_local_base_freq", "rope_scaling"):
        found.pop(name)
    old = found | {"sliding_window_pattern": 2, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    new = found | {
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    }
    for form in (old, new):
        file.write_text(json.dumps(form))
        assert config_of(folder) == shape("gemma3")


def test_a_window_that_is_switched_off_is_none(tmp_path: Path) -> None:
    folder = folder_of("qwen2, upper windows", tmp_path)
    file = folder / "config.json"
    found = {name: value for name, value in json.loads(file.read_text()).items() if name != "layer_types"}
    file.write_text(json.dumps(found))
    assert config_of(folder) == shape("qwen2, upper windows")
    file.write_text(json.dumps(found | {"use_sliding_window": False}))
    assert config_of(folder) == replace(shape("qwen2, upper windows"), window=0, window_layers=())


@pytest.mark.parametrize("name", SHAPES)
def test_an_artifact_in_eight_bits_keeps_every_weight_of_the_family(name: str, tmp_path: Path) -> None:
    quantize_folder(folder_of(name, tmp_path / "whole"), tmp_path / "small", PLANS["q8"])
    whole, small = load_model(tmp_path / "whole"), load_model(tmp_path / "small")
    assert small.config == whole.config
    for (part, before), after in zip(whole.named_parameters(), small.parameters(), strict=True):
        # Half a step of the group, and the rounding of its scale to bf16.
        assert (before - after).abs().max() <= before.abs().max() * (0.5 / 127 + 2**-8), part


def test_the_guide_lists_every_family_and_what_is_published_of_it() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/models.md").read_text()
    table = guide[guide.index("| family ") :].partition("\n\n")[0]
    listed = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
    assert sorted(listed) == sorted((row.model_type or name, row.about) for name, row in FAMILIES.items())


def test_every_dense_family_is_in_the_table_of_these_tests() -> None:
    assert {family for family, _ in SHAPES.values()} == {name for name, row in FAMILIES.items() if not row.traits.moe}


@pytest.mark.parametrize("where", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("many", [False, True])
def test_an_answer_ends_with_any_of_the_ends_that_the_folder_names(where: str, many: bool, tmp_path: Path) -> None:
    """One id or a list, in either file, as published folders have them."""
    folder = folder_of("llama, scaled", tmp_path)
    tiny_tokenizer().save(folder)
    tokens, _ = answers(engine_of(folder), {"whole": prompt(1)}, 40)["whole"]
    first = next(i for i, token in enumerate(tokens) if i > 3 and token not in tokens[:i])
    end = tokens[first]
    other = next(id for id in range(300, 500) if id not in tokens)
    for name in ("config.json", "generation_config.json"):
        found = json.loads((folder / name).read_text()) | {"eos_token_id": None}
        if name == where:
            found["eos_token_id"] = [other, end] if many else end
        (folder / name).write_text(json.dumps(found))
    engine = Engine.load(folder, settings=EngineSettings(dtype="fp32", seed=1))
    engine.add(GenerationRequest(id="one", prompt=prompt(1), sampling=Sampling(max_tokens=40, temperature=0.0)))
    events = []
    while engine.busy:
        events += engine.step()
    assert events[-1].finish == "stop" and events[-1].stop_token == end
    assert [token for event in events for token in event.tokens] == tokens[:first]
