"""Another context than the model's own: what YaRN is set to, what is refused, and that the engine computes it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from creuset.core.errors import ConfigError
from creuset.model.context import stretching, with_context
from creuset.model.formats.hf_config import from_hf, to_hf
from creuset.model.rope_scaling import RopeScaling, yarn
from creuset.testing import tiny_config


def test_the_factor_is_what_qwen_documents() -> None:
    # Qwen2.5's model card: 131,072 tokens of a model of 32,768 by {"type": "yarn", "factor": 4.0,
    # "original_max_position_embeddings": 32768}.
    own = tiny_config("qwen2", context=32_768)
    documented = to_hf(own) | {
        "max_position_embeddings": 131_072,
        "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32_768},
    }
    assert with_context(own, 131_072) == from_hf(documented)
    assert with_context(own, 40_000).rope_scaling == yarn(40_000 / 32_768, 32_768)


def test_a_shorter_context_changes_nothing_else() -> None:
    own = tiny_config(context=256)
    assert with_context(own, 0) == with_context(own, 256) == own
    assert with_context(own, 100) == replace(own, context=100)


def test_a_file_that_states_the_context_from_before_its_yarn_reaches_what_its_factor_says() -> None:
    own = tiny_config(context=256, rope_scaling=yarn(4.0, 256))
    assert with_context(own, 1024) == with_context(own, 0) == replace(own, context=1024)
    assert with_context(own, 100).context == 100 and "states 256 tokens from before its own YaRN" in stretching(own, 0)
    stated = replace(own, context=512)  # neither before nor behind: what is stated counts
    assert with_context(stated, 0) == stated and stretching(stated, 0) == ""
    with pytest.raises(ConfigError, match="the rope scaling `yarn` of its own, which reaches 1024 tokens"):
        with_context(own, 1025)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"rope_scaling": RopeScaling(kind="llama3", factor=8.0, original_context=64)},
            "the model has the rope scaling `llama3` of its own, which reaches 256 tokens",
        ),
        ({"rope_scaling": RopeScaling(kind="linear", factor=2.0)}, "the rope scaling `linear` of its own"),
        (
            {"window": 16, "window_layers": (0,)},
            "layers with a sliding window of 16 tokens, which YaRN does not stretch; its own context is 256 tokens",
        ),
    ],
)
def test_what_cannot_be_stretched_says_why(changes: dict[str, Any], words: str) -> None:
    family = "mistral" if "window" in changes else "qwen3"
    with pytest.raises(ConfigError, match=words):
        with_context(tiny_config(family, context=256, **changes), 300)
    assert with_context(tiny_config(family, context=256, **changes), 200).context == 200


def test_a_negative_context_is_refused() -> None:
    with pytest.raises(ConfigError, match="the context must be positive, got -1 tokens"):
        with_context(tiny_config(), -1)


def test_the_engine_answers_as_a_model_whose_file_says_the_same(tmp_path: Path) -> None:
    import json

    from creuset.engine.engine import Engine
    from creuset.engine.settings import EngineSettings
    from creuset.testing import tiny_model_folder
    from creuset.types.generation import GenerationRequest, Sampling

    folder = tiny_model_folder(tmp_path / "model", "qwen3", context=64)

    def answer(settings: EngineSettings) -> tuple[str, int]:
        one = Engine.load(folder, settings=settings)
        ask = GenerationRequest(id="a", prompt=list(range(10, 80)), sampling=Sampling(max_tokens=40, temperature=0.0))
        one.add(ask)
        events = []
        while one.busy:
            events += one.step()
        return "".join(event.text for event in events), one.context

    asked = answer(EngineSettings(context=128, dtype="fp32"))
    file = folder / "config.json"
    scaling = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64}
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"max_position_embeddings": 128, "rope_scaling": scaling})
    )
    assert answer(EngineSettings(dtype="fp32")) == asked and asked[1] == 128
    file.write_text(json.dumps(json.loads(file.read_text()) | {"rope_scaling": None}))
    assert answer(EngineSettings(dtype="fp32"))[0] != asked[0], (
        "YaRN changes nothing here: the test would prove nothing"
    )
