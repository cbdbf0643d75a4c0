"""Whole training steps against the same steps written out with torch's losses, clipping and optimizer.

The load of experts goes from one step into the next, so three steps are taken; their sizes differ, so that clipping
changes what the moments remember.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from creuset.data.shards.batches import Batch, PackedRow, pack
from creuset.model.attention import Packed
from creuset.model.layers.router import Routing
from creuset.testing import tiny_config, tiny_model
from creuset.train.objectives import sft
from creuset.train.optim import is_matrix
from creuset.train.settings import Optim, Pretrain
from creuset.train.state import TrainState
from creuset.train.step import StepReport, train_step

STEPS, ROWS, CONTEXT = 3, 4, 32
OPTIM = Optim(lr=2e-3, matrix_lr=5e-3, matrices="adamw", weight_decay=2.0, eps=1e-4, clip_norm=0.25, warmup_steps=2)


def settings(**changes: Any) -> Pretrain:
    base = Pretrain(
        name="definition",
        model=tiny_config(),
        steps=STEPS,
        tokens_per_step=ROWS * CONTEXT,
        tokens_per_microbatch=ROWS * CONTEXT,
        context=CONTEXT,
        precision="fp32",
        balance_coef=0.3,
        z_coef=0.2,
        optim=OPTIM,
    )
    return replace(base, **changes)


def rows(step: int) -> list[PackedRow]:
    """Random rows of two sequences; a third of the targets has no weight, and how many differs from row to row."""
    draw = np.random.default_rng(step)
    return [
        PackedRow(
            draw.integers(0, 512, CONTEXT),
            draw.integers(0, 512, CONTEXT),
            (draw.random(CONTEXT) < draw.uniform(0.2, 1)).astype(np.float32),
            np.array([0, int(draw.integers(1, CONTEXT))]),
        )
        for _ in range(ROWS)
    ]


def ours(run: Pretrain, *, micro: int = ROWS) -> tuple[TrainState, list[StepReport]]:
    state = TrainState.begin(tiny_model(run.model), run, torch.device("cpu"))
    reports = []
    for step in range(STEPS):
        all_rows = rows(step)
        reports.append(train_step(state, [pack(all_rows[i : i + micro]) for i in range(0, ROWS, micro)], sft))
    return state, reports


def definition(run: Pretrain) -> tuple[dict[str, Tensor], Tensor, list[dict[str, float]]]:
    """The weights, the load of experts (L, E) and what each step is to report."""
    model = tiny_model(run.model)
    model.requires_grad_(True)
    named = dict(model.named_parameters())
    matrices = [p for name, p in named.items() if is_matrix(name, p)]
    rest = [p for name, p in named.items() if not is_matrix(name, p)]
    o = run.optim
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": o.weight_decay}, {"params": rest, "weight_decay": 0.0}],
        lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps,
    )  # fmt: skip
    experts, k = run.model.experts, run.model.experts_per_token
    load_LE = torch.full((run.model.layers, experts), 1 / experts)
    told = []
    for step, scale in zip(range(STEPS), (0.5, 1.0, o.floor), strict=True):  # warm-up of two steps, decay of one
        batch: Batch = pack(rows(step))
        routings: list[Routing] = []
        hidden = model(batch.tokens_T, batch.positions_T, Packed(batch.lengths), routers=routings)
        nats = F.cross_entropy(hidden @ model.model.embed_tokens.weight.T, batch.targets_T, reduction="none")
        loss = (nats * batch.weights_T).sum() / batch.weights_T.sum()
        probs_LE = torch.stack([r.logits_TE.softmax(-1).mean(0) for r in routings])
        balance = (experts * load_LE * probs_LE).sum(-1).mean()  # with the load of the batch before
        z = torch.stack([r.logits_TE.logsumexp(-1).square().mean() for r in routings]).mean()
        optimizer.zero_grad()
        (loss + run.balance_coef * balance + run.z_coef * z).backward()
        norm = torch.nn.utils.clip_grad_norm_(named.values(), o.clip_norm or math.inf)
        optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = o.matrix_lr * scale, o.lr * scale
        optimizer.step()
        counts_LE = torch.stack([F.one_hot(r.experts_TK, experts).sum((0, 1)) for r in routings])
        load_LE = counts_LE / (k * ROWS * CONTEXT)
        told.append(
            {
                "loss": loss.item(),
                "balance": (experts * load_LE * probs_LE).sum(-1).mean().item(),
                "z": z.item(),
                "norm": norm.item(),
                "scale": scale,
                "tokens": ROWS * CONTEXT,
                "trained": int(batch.weights_T.sum()),
                "busiest": load_LE.max().item() * experts,
                "updated": True,
            }
        )
    return {name: p.detach() for name, p in named.items()}, load_LE, told


@pytest.mark.parametrize(
    "changes",
    [{}, {"z_coef": 0.0}, {"balance_coef": 0.0}, {"optim": replace(OPTIM, clip_norm=0.0, floor=0.4)}],
    ids=["all", "without z", "without balance", "without clipping"],
)
@pytest.mark.parametrize("micro", [ROWS, 1])
def test_three_steps_are_those_of_the_definition(changes: dict[str, Any], micro: int) -> None:
    run = settings(**changes)
    weights, load_LE, told = definition(run)
    state, reports = ours(run, micro=micro)
    for report, wanted in zip(reports, told, strict=True):
        for name, value in wanted.items():
            assert getattr(report, name) == pytest.approx(value, rel=1e-4), name
    torch.testing.assert_close(state.load_LE, load_LE)
    assert state.step == STEPS and state.bad_steps == 0
    for name, parameter in state.model.named_parameters():
        torch.testing.assert_close(state.optimizer.masters[name], weights[name], rtol=1e-4, atol=2e-6)
        assert torch.equal(parameter, state.optimizer.masters[name]), f"{name}: the model computes with other weights"


def test_the_norm_of_what_the_optimizer_gets_is_the_clip_and_its_direction_is_kept() -> None:
    """After one step the momentum of Muon is its gradient."""
    free, _ = ours_once(replace(OPTIM, matrices="muon", clip_norm=0.0))
    cut, report = ours_once(replace(OPTIM, matrices="muon", clip_norm=0.25))
    assert report.norm > 0.25
    for name in free.optimizer.by_muon:
        torch.testing.assert_close(cut.optimizer.first[name], free.optimizer.first[name] * 0.25 / report.norm)
    loose, _ = ours_once(replace(OPTIM, matrices="muon", clip_norm=report.norm * 2))
    assert all(torch.equal(loose.optimizer.first[n], free.optimizer.first[n]) for n in free.optimizer.by_muon)


def ours_once(optim: Optim) -> tuple[TrainState, StepReport]:
    run = settings(optim=optim)
    state = TrainState.begin(tiny_model(run.model), run, torch.device("cpu"))
    return state, train_step(state, [pack(rows(0))], sft)


def test_targets_without_weight_teach_nothing() -> None:
    """Other words where the weight is 0 make the same step, bit for bit."""
    run = settings()
    masters = []
    for shift in (0, 7):
        all_rows = rows(0)
        other = [replace(r, targets=np.where(r.weights > 0, r.targets, (r.targets + shift) % 512)) for r in all_rows]
        assert not shift or any((a.targets != b.targets).any() for a, b in zip(all_rows, other, strict=True))
        state = TrainState.begin(tiny_model(run.model), run, torch.device("cpu"))
        train_step(state, [pack(other)], sft)
        masters.append(state.optimizer.masters)
    assert all(torch.equal(masters[0][name], tensor) for name, tensor in masters[1].items())


def test_a_dense_model_has_no_load_and_reports_none() -> None:
    run = settings(model=tiny_config("qwen3"))
    state = TrainState.begin(tiny_model(run.model), run, torch.device("cpu"))
    report = train_step(state, [pack(rows(0))], sft)
    assert (report.balance, report.z, report.busiest) == (0.0, 0.0, 0.0) and report.updated
    assert state.load_LE.shape == (0, 1)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_masters_are_fp32_whatever_the_model_computes_in(precision: str) -> None:
    run = settings(precision=precision)
    state = TrainState.begin(tiny_model(run.model), run, torch.device("cpu"))
    train_step(state, [pack(rows(0))], sft)
    wanted = torch.float32 if precision == "fp32" else torch.bfloat16
    assert all(p.dtype == wanted for p in state.model.parameters())
    assert all(t.dtype == torch.float32 for t in state.tensors().values())
    for name, parameter in state.model.named_parameters():
        assert torch.equal(parameter, state.optimizer.masters[name].to(wanted))
