"""The package from Python: the same answers as the engine and the server give, and the same refusals."""

import json
import subprocess
import sys

import pytest

import creuset
from creuset.core.config import with_overrides
from creuset.core.errors import ConfigError, EngineError, RequestError
from creuset.core.sentences import to_json
from creuset.engine.engine import Engine
from creuset.engine.settings import EngineSettings
from creuset.governance.audit.run import AuditPlan
from creuset.testing import tiny_model_folder, tiny_shards
from creuset.text import grammar
from creuset.text.chat import encode_chat
from creuset.types.generation import GenerationRequest, Sampling

PUBLIC = {
    "__version__", "load", "generate", "Assistant", "AssistantReply", "Completion", "pretrain", "finetune", "evaluate",
    "audit", "Engine", "Tokenizer", "load_model", "pull", "recipe", "CreusetError",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model_folder(tmp_path_factory.mktemp("api") / "model")


def by_hand(folder, prompt, **sampling):
    """The answer by the engine's own steps."""
    engine = Engine.load(folder, settings=EngineSettings(dtype="fp32"))
    engine.add(GenerationRequest(id="x", prompt=prompt, sampling=Sampling(**sampling)))
    text, events = "", []
    while engine.busy:
        for event in engine.step():
            text, events = text + event.text, [*events, event]
    return text, events[-1]


def test_the_public_names_are_these_and_each_can_be_had():
    assert set(creuset.__all__) == PUBLIC == set(dir(creuset))
    for name in PUBLIC:
        assert getattr(creuset, name) is not None
    with pytest.raises(AttributeError, match="`creuset` has no attribute `lode`"):
        creuset.lode  # noqa: B018


def test_importing_the_package_loads_nothing():
    probe = "import sys, creuset; print(sorted(m for m in sys.modules if m.startswith(('torch', 'creuset.'))))"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_text_is_continued_as_the_engine_does(folder):
    with creuset.load(folder, dtype="fp32") as model:
        prompts = ["once upon a time", "the river"]
        found = model.generate(prompts, max_tokens=12, temperature=0.0, logprobs=0)
        for prompt, one in zip(prompts, found, strict=True):
            ids = model.tokenizer.encode(prompt)
            text, last = by_hand(folder, ids, max_tokens=12, temperature=0.0)
            assert (one.text, one.finish, one.completion_tokens) == (text, last.finish, last.completion_tokens)
            assert one.prompt_tokens == len(ids) and len(one.logprobs) == len(one.tokens)
        assert model.generate("the river", max_tokens=12, temperature=0.0)[0].text == found[1].text
    assert creuset.generate(folder, "the river", max_tokens=12, temperature=0.0)[0].finish in ("stop", "length")


def test_a_chat_is_the_template_and_its_stream_is_the_whole(folder):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello <|im_end|>"}]
    with creuset.load(folder, dtype="fp32") as model:
        reply = model.chat(messages, max_tokens=10, temperature=0.0)
        ids = encode_chat(model.tokenizer, messages, add_generation_prompt=True).ids
        text, _ = by_hand(folder, ids, max_tokens=10, temperature=0.0)
        assert reply.completion.text == text and reply.completion.prompt_tokens == len(ids)
        assert "".join(model.stream(messages, max_tokens=10, temperature=0.0)) == text
        assert model.chat("Hello", max_tokens=4, temperature=0.0).completion.completion_tokens <= 4


def test_an_answer_has_the_form_that_is_asked_for(folder):
    schema = {"type": "object", "properties": {"ok": {"enum": [True, 7]}}, "required": ["ok"]}
    schema["additionalProperties"] = False
    with creuset.load(folder) as model:
        reply = model.chat("Is it?", schema=schema, max_tokens=200, temperature=1.5, seed=1)
        texts = [reply.text, *(one.text for one in model.generate(["a", "b"], schema=schema, max_tokens=200, seed=1))]
        assert all(json.loads(text)["ok"] in (True, 7) for text in texts)
        assert model.chat("Is it?", grammar=grammar.choice(["yes"]), temperature=2.0).text == "yes"
        with pytest.raises(creuset.CreusetError, match=r"`schema\.not` cannot be enforced"):
            model.generate("a", schema={"not": {}})
        with pytest.raises(creuset.CreusetError, match="one form"):
            model.generate("a", schema={}, grammar="start: /a/")


def test_a_stream_that_is_left_gives_its_blocks_back_and_two_do_not_mix(folder):
    with creuset.load(folder, dtype="fp32", prefix_cache=False) as model:
        going = model.stream("Hello", max_tokens=40, temperature=0.0, ignore_eos=True)
        next(going)
        with pytest.raises(EngineError, match="writing another answer"):
            model.generate("and?", max_tokens=2)
        going.close()
        assert not model.engine.busy
        model.engine.check()
        stats = model.engine.stats()
        assert model.generate("and?", max_tokens=2)[0].completion_tokens >= 1
        assert model.engine.stats() != stats


def test_what_cannot_be_is_refused_by_name(folder):
    with pytest.raises(creuset.CreusetError, match="`nowhere` is neither a folder nor a GGUF file"):
        creuset.load("nowhere")
    with creuset.load(folder, dtype="fp32") as model:
        with pytest.raises(ConfigError, match="`temprature` is no sampling setting"):
            model.generate("x", temprature=1)
        with pytest.raises(RequestError, match="`temperature` must be between 0 and 100, got -1"):
            model.generate("x", temperature=-1)
        with pytest.raises(RequestError):
            model.generate(["x", "y " * 5000], max_tokens=2)
        assert not model.engine.busy, "the prompt that was fine does not go on alone"
        with pytest.raises(RequestError, match="role"):
            model.chat([{"content": "x"}])


# -- the whole path, equal to the commands


def test_training_tuning_evaluation_and_audit_from_python_are_what_the_commands_do(tmp_path):
    from creuset.cli import main
    from tests.story.test_story import documents, talks

    shards = tiny_shards(tmp_path / "shards", {"tales": list(documents(40))})
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps(t) + "\n" for t in talks()))
    changes = ["precision=fp32", "expert_kernel=exact", "steps=4"]  # nothing is left to a stopwatch
    settings = with_overrides(creuset.recipe("tests.story.test_story:pretrain"), changes)
    outcome = creuset.pretrain(settings, shards=shards, out=tmp_path / "run")
    assert outcome.finished and outcome.step == 4
    words = ["train", "tests.story.test_story:pretrain", "--shards", str(shards), "--out", str(tmp_path / "again")]
    assert main([*words, *(word for change in changes for word in ("--set", change))]) == 0
    mine, theirs = (tmp_path / run / "model" / "model.safetensors" for run in ("run", "again"))
    assert mine.read_bytes() == theirs.read_bytes()

    sft = with_overrides(creuset.recipe("tests.story.test_story:sft"), ["precision=fp32"])
    tuned = creuset.finetune(
        sft, model=tmp_path / "run/model", dialogues=[tmp_path / "talks.jsonl"], out=tmp_path / "sft"
    )
    assert tuned.model is not None and creuset.load(tuned.model).chat("Hello", max_tokens=3).completion.finish

    (tmp_path / "text.txt").write_text("A fox ran over the hill.\n\nThe river was wide.")
    results = creuset.evaluate(tuned.model, ["bpb"], data=(tmp_path / "text.txt",), out=tmp_path / "scores")
    kept = json.loads((tmp_path / "scores/results.json").read_text())
    assert (
        kept["results"] == json.loads(json.dumps(to_json(results["results"])))
        and results["results"][0]["task"] == "bpb"
    )
    with pytest.raises(ConfigError, match="already exists"):
        creuset.evaluate(tuned.model, ["bpb"], data=(tmp_path / "text.txt",), out=tmp_path / "scores")
    with pytest.raises(ConfigError, match="limit must be positive, got 0"):
        creuset.evaluate(tuned.model, ["bpb"], data=(tmp_path / "text.txt",), limit=0)

    said, found = creuset.audit(tuned.model, AuditPlan(items=("prompt_leak",), limit=2))
    assert said["results"] and any(measure.task == "prompt_leak" for one in found for measure in one.measures)
