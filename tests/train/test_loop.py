"""What the loop does around its steps: events, speed, evaluations, checkpoints, divergence; by a clock of our own."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from creuset.core.errors import TrainingError
from creuset.core.record import Recorder
from creuset.data.shards.batches import PretrainSource
from creuset.data.shards.files import Shards
from creuset.model.attention import Packed
from creuset.model.count import training_flops
from creuset.testing import TINY_TEXTS, tiny_config, tiny_model, tiny_shards
from creuset.train import checkpoint
from creuset.train.evaluate import bits_per_byte
from creuset.train.loop import Outcome, train
from creuset.train.objectives import pretrain
from creuset.train.pages.report import percent, smooth, write_page
from creuset.train.settings import Pretrain
from creuset.train.state import TrainState
from creuset.train.watch.divergence import WINDOW, LossWatch
from tests.train.test_training import fresh, tiny_run

LONG = [" ".join(TINY_TEXTS[:3]) * n for n in (1, 3, 2, 4, 1, 2)]  # several windows of 64 tokens each


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    folder = tmp_path_factory.mktemp("data")
    return Shards.open(tiny_shards(folder / "shards", {"en": LONG * 4, "fr": [TINY_TEXTS[3] * 6] * 5}))


def go(
    settings: Pretrain, shards: Shards, folder: Path, *, evaluated: bool = False, **options: Any
) -> tuple[Outcome, TrainState, list[dict[str, Any]]]:
    """A run with a clock that goes on by one second each time it is read; its events."""
    seconds = itertools.count()
    folder.mkdir(exist_ok=True)
    state = fresh(settings)
    source = PretrainSource(shards, weights={"en": 1.0}, context=settings.context, seed=1)
    options = {"clock": lambda: float(next(seconds))} | options
    outcome = train(
        state, source, pretrain, folder, Recorder.start(), run="r", shards=shards if evaluated else None, **options
    )
    return outcome, state, [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_each_step_has_an_event_with_what_was_seen_how_fast_and_how_long_is_left(
    shards: Shards, tmp_path: Path
) -> None:
    settings = tiny_run(steps=4, evaluate_every=0)
    flops = training_flops(settings.model, context=settings.context)
    _, _, events = go(settings, shards, tmp_path / "run", peak_flops=flops * 256 * 4)
    assert [event["event"] for event in events] == ["step"] * 4
    for n, event in enumerate(events, 1):
        assert (event["step"], event["steps"], event["seen"], event["tokens"]) == (n, 4, 256 * n, 256)
        # The clock is read at the start, and three times in each step: a step takes one second by it.
        assert event["tokens_per_s"] == 256.0 and event["mfu"] == pytest.approx(0.25)
        assert event["seconds_left"] == pytest.approx(3 * n / n * (4 - n))
        assert {"loss", "balance", "z", "norm", "scale", "trained", "busiest", "updated"} <= set(event)


def test_without_a_peak_the_utilisation_is_not_known(shards: Shards, tmp_path: Path) -> None:
    _, _, events = go(tiny_run(steps=1, evaluate_every=0), shards, tmp_path / "run")
    assert events[0]["mfu"] is None


def test_a_utilisation_above_one_is_never_told(
    shards: Shards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The third step is slower, and would be below one again: the peak was wrong all the same."""
    settings = tiny_run(steps=3, evaluate_every=0)
    flops = training_flops(settings.model, context=settings.context) * 256
    times = iter([0, 0, 1, 1, 1, 1.5, 2, 2, 10, 10, 10, 10])
    _, _, events = go(settings, shards, tmp_path / "run", peak_flops=flops * 1.5, clock=lambda: next(times))
    assert [event["mfu"] for event in events] == [pytest.approx(1 / 1.5), None, None]
    assert capsys.readouterr().err.count("faster than the peak that was measured") == 1


def test_evaluations_come_when_they_are_due_and_the_last_reads_all(shards: Shards, tmp_path: Path) -> None:
    settings = tiny_run(steps=5, evaluate_every=2, evaluate_tokens=1, save_every=100)
    outcome, state, events = go(settings, shards, tmp_path / "run", evaluated=True)
    scores = [event for event in events if event["event"] == "evaluate"]
    assert [(event["step"], event["seen"]) for event in scores] == [(2, 512), (4, 1024), (5, 1280)]
    assert [event["documents"] for event in scores] == [{"en": 1, "fr": 1}] * 2 + [{"en": 2, "fr": 2}]
    whole = {name: bits_per_byte(state.model, shards, name, context=64) for name in ("en", "fr")}
    assert outcome.bits_per_byte == scores[-1]["bits_per_byte"]
    assert outcome.bits_per_byte == pytest.approx({name: score.bits / score.bytes for name, score in whole.items()})
    assert (tmp_path / "run/loss.html").is_file()


def test_the_last_evaluation_can_be_bounded_too(shards: Shards, tmp_path: Path) -> None:
    settings = tiny_run(steps=1, evaluate_every=0, final_tokens=1)
    _, _, events = go(settings, shards, tmp_path / "run", evaluated=True)
    assert events[-1]["documents"] == {"en": 1, "fr": 1}


def test_a_run_that_is_complete_is_evaluated_when_it_was_not(shards: Shards, tmp_path: Path) -> None:
    """Killed between its last step and its model."""
    settings = tiny_run(steps=2, evaluate_every=0)
    state = fresh(settings)
    state.step = 2
    source = PretrainSource(shards, weights={"en": 1.0}, context=64, seed=1)
    outcome = train(state, source, pretrain, tmp_path, Recorder.start(), run="r", shards=shards)
    assert outcome.finished and set(outcome.bits_per_byte) == {"en", "fr"}


def test_checkpoints_are_made_as_often_as_told_and_the_newest_are_kept(shards: Shards, tmp_path: Path) -> None:
    settings = tiny_run(steps=7, evaluate_every=0, save_every=2, keep=3)
    go(settings, shards, tmp_path / "run")
    folder = tmp_path / "run/checkpoints"
    assert [path.name for path in checkpoint.saved(folder)] == ["step-0000004", "step-0000006", "step-0000007"]


def test_the_record_counts_the_tokens_and_their_flops(shards: Shards, tmp_path: Path) -> None:
    settings = tiny_run(steps=3, evaluate_every=0)
    recorder, folder = Recorder.start(), tmp_path / "run"
    folder.mkdir()
    source = PretrainSource(shards, weights={"en": 1.0}, context=64, seed=1)
    train(fresh(settings), source, pretrain, folder, recorder, run="r")
    record = recorder.finish()
    assert record["tokens"] == 3 * 256
    assert record["flops"]["formula"] == pytest.approx(3 * 256 * training_flops(settings.model, context=64))


def test_the_rise_of_the_loss_is_that_of_its_mean_over_the_lowest_mean() -> None:
    draw = np.random.default_rng(3)
    losses, watch = list(draw.normal(3.0, 1.0, 90)), LossWatch()
    for n, loss in enumerate(losses, 1):
        means = [np.mean(losses[i - WINDOW : i]) for i in range(WINDOW, n + 1)]
        assert watch.add(loss) == pytest.approx(means[-1] - min(means) if means else 0.0, abs=1e-12)
        if n == 37:
            watch = LossWatch.restored(json.loads(json.dumps(watch.state())))


def test_a_run_whose_loss_rises_for_good_stops_and_says_how_far(shards: Shards, tmp_path: Path) -> None:
    run = tiny_run(steps=200, evaluate_every=0, save_every=1000, max_rise=0.5, model=tiny_config())
    run = replace(run, optim=replace(run.optim, lr=3.0, matrix_lr=3.0))
    words = r"the run diverged: at step \d+ the mean loss of 20 steps is .* max_rise is 0.5"
    with pytest.raises(TrainingError, match=words):
        go(run, shards, tmp_path / "run")
    assert not checkpoint.saved(tmp_path / "run/checkpoints"), "a diverged state was saved"


@pytest.mark.parametrize("most", [None, 1, 100, 130, 10**6])
def test_bits_per_byte_reads_whole_documents_window_by_window(shards: Shards, most: int | None) -> None:
    """Against the definition, on documents of several windows: each is scored from its own beginning."""
    model = tiny_model(tiny_config())
    tokens, offsets = shards.tokens("en", "heldout"), shards.offsets("en", "heldout")
    bits, read, documents = 0.0, 0, 0
    with torch.inference_mode():
        for a, b in itertools.pairwise(offsets):
            if most is not None and documents and read >= most:
                break
            ids = [shards.eot, *np.asarray(tokens[a:b]).tolist()]
            for start in range(0, len(ids) - 1, 64):
                window = torch.tensor(ids[start : start + 65])
                n = len(window) - 1
                logits = model.logits(model(window[:-1], torch.arange(n), Packed([n]))).double()
                bits -= float(logits.log_softmax(-1)[torch.arange(n), window[1:]].sum()) / math.log(2)
            documents, read = documents + 1, read + len(ids) - 1
    score = bits_per_byte(model, shards, "en", context=64, max_tokens=most)
    assert (score.documents, score.tokens) == (documents, read)
    assert score.bytes == int(shards.bytes("en")[:documents].sum())
    assert score.bits == pytest.approx(bits, rel=1e-5) and score.bits_per_byte == score.bits / score.bytes


def test_the_smoothed_curve_is_the_mean_weighted_by_age() -> None:
    points = [(float(x), float(y)) for x, y in enumerate([5, 3, 4, 1])]
    for n, (x, found) in enumerate(smooth(points, keep=0.8)):
        weights = [0.8 ** (n - i) for i in range(n + 1)]
        assert x == points[n][0]
        assert found == pytest.approx(sum(w * y for w, (_, y) in zip(weights, points, strict=False)) / sum(weights))


def test_a_share_is_shown_in_percent_and_called_unknown_when_it_is() -> None:
    assert (percent(0.312), percent(1.0), percent(None)) == ("31 %", "100 %", "unknown")


def test_the_page_of_a_run_shows_its_last_step_and_its_last_evaluation(tmp_path: Path) -> None:
    step = {"event": "step", "steps": 9, "tokens_per_s": 1500.0, "mfu": None, "seconds_left": 120.0, "loss": 2.5,
            "busiest": 1.5, "balance": 1.0, "norm": 0.5, "scale": 1.0}  # fmt: skip
    events = [
        step | {"step": 1, "seen": 1000},
        {"event": "evaluate", "step": 1, "seen": 1000, "bits_per_byte": {"en": 2.3456, "fr": 3.4567}},
        step | {"step": 2, "seen": 2000},
        {"event": "evaluate", "step": 2, "seen": 2000, "bits_per_byte": {"en": 1.2345, "fr": 1.3456}},
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    text = write_page(tmp_path, "tiny").read_text()
    head, _, last = text.rpartition("Last evaluation")
    assert "1.234" in last and "1.346" in last and "2.346" not in last
    assert "step 2 of 9" in head and "step 1 of 9" not in text and "MFU unknown" in head
