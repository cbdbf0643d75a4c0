"""The model in the tree: whole, small, walked back to its licences, and able to hold a conversation that ends."""

import json
from pathlib import Path

import pytest

from creuset.cli import main
from creuset.core.artifact import ancestors, verify
from creuset.model.hub import find_model

MINI = find_model()


def test_nothing_of_the_shipped_model_was_altered_and_it_is_light() -> None:
    assert verify(MINI) == []
    assert sum(f.stat().st_size for f in MINI.rglob("*") if f.is_file()) < 24_000_000


def test_it_walks_back_to_the_run_the_dialogues_the_corpus_and_their_licences() -> None:
    chain = ancestors(MINI)
    assert {"model", "dialogues", "shards", "tokenizer", "corpus"} <= {m["kind"] for m in chain}
    known = {m["sha256"] for m in chain}
    lost = [p for m in chain for p in m["parents"] if p["sha256"] not in known]
    assert not lost, "an ancestor is named whose manifest is not here"
    told = json.dumps(chain)
    for licence in ("CC-BY-SA-3.0", "CC0-1.0", "CDLA-Sharing-1.0", "public domain"):
        assert licence in told
    for barred in ("gpteacher_", "vigogne"):
        assert not [m for m in chain if barred in json.dumps(m["parents"])]
    record = json.loads((MINI / "record.json").read_text())
    assert record, "no technical record"


def test_its_card_names_its_data_and_its_limits() -> None:
    card = (MINI / "card.md").read_text()
    assert card.startswith("---\n") and "simplewiki" in card and "bits per byte" in card.lower()


@pytest.mark.parametrize(
    ("question", "word"), [("Hello!", "help"), ("Who are you?", "creuset"), ("Tell me a story about a dog.", "dog")]
)
def test_it_answers_in_words_and_stops_by_itself(question: str, word: str) -> None:
    from creuset.engine.engine import Engine
    from creuset.text.chat import encode_chat
    from creuset.types.generation import GenerationRequest, Sampling

    engine = Engine.load(MINI)
    ids = encode_chat(engine.tokenizer, [{"role": "user", "content": question}], add_generation_prompt=True).ids
    engine.add(GenerationRequest(id="q", prompt=ids, sampling=Sampling(temperature=0.0, max_tokens=300)))
    events = []
    while engine.busy:
        events += engine.step()
    assert events[-1].finish == "stop"
    assert word in "".join(e.text for e in events).lower()


def test_verify_says_so_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(Path(MINI))]) == 0
    assert "whole: nothing was altered" in capsys.readouterr().out
