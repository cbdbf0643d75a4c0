"""One optimizer step over a global batch: forward, backward, reduce, clip, update or refuse."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from creuset.data.shards.batches import Batch
from creuset.model.attention import Packed
from creuset.model.layers.router import Routing
from creuset.model.transformer import Transformer
from creuset.parallel import ranks
from creuset.train.objectives import Objective
from creuset.train.objectives.loss import balance_sum, expert_counts, z_sum
from creuset.train.optim import global_norm
from creuset.train.schedule import wsd
from creuset.train.state import TrainState
from creuset.train.watch.health import by_part, tensor_norms


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one step did; numbers are over the global batch."""

    loss: float  # nats per trained token
    balance: float  # E * sum f p with this batch's own f, mean over layers: 1.0 is even
    z: float  # mean squared logsumexp of the router logits
    norm: float  # of the gradients, before clipping
    scale: float  # share of the peak learning rate
    tokens: int  # read
    trained: int  # targets that counted
    busiest: float  # largest share of copies over the even share, any expert of any layer
    updated: bool  # False: refused because a number was not finite
    parts: dict[str, float]  # norms of the gradients by part of the model, before clipping (train/watch/health.py)
    hidden: float  # root mean square of the last hidden state, the norm before the head included


def head_weight(model: Transformer) -> Tensor:
    """(V, C): the output projection, which is the embedding when they are tied."""
    return model.model.embed_tokens.weight if model.lm_head is None else model.lm_head.weight


def train_step(
    state: TrainState, batches: Sequence[Batch], objective: Objective, *, norms: dict[str, float] | None = None
) -> StepReport:
    """Run one step of `objective` on this rank's micro-batches; every rank leaves with the same weights.

    `norms` is filled with the norm of each gradient, before clipping.
    """
    s = state.settings
    device = state.load_LE.device
    trained, tokens = ranks.sum_over_ranks(
        torch.tensor(
            [sum(objective.count(b) for b in batches), float(sum(len(b.tokens_T) for b in batches))],
            dtype=torch.float64,
            device=device,
        )
    ).tolist()
    layers = max(1, len(state.load_LE))
    sums = torch.zeros(3, dtype=torch.float64, device=device)  # cross-entropy, z, squares of the last hidden state
    counts_LE, probs_LE = torch.zeros_like(state.load_LE), torch.zeros_like(state.load_LE)
    gradients: dict[str, Tensor] = {}
    for batch in (b.to(device) for b in batches):
        routings: list[Routing] = []
        state.model.zero_grad(set_to_none=True)
        hidden_TC = state.model(
            batch.tokens_T, batch.positions_T, Packed(batch.lengths, fused=state.fused), routers=routings
        )
        nats = objective.loss_sum(batch, hidden_TC, head_weight(state.model), fused=state.fused)
        z = z_sum(routings)
        loss = nats / max(trained, 1.0)
        if routings:
            balance = balance_sum(routings, state.load_LE)
            loss = loss + (s.balance_coef * balance + s.z_coef * z) / (layers * tokens)
            counts_LE += expert_counts(routings)
            probs_LE += torch.stack([r.probs_TE.detach().float().sum(0) for r in routings])
        loss.backward()
        squares = hidden_TC.detach().float().square().mean(-1).sum()
        sums += torch.stack([nats.detach().double(), z.detach().double(), squares.double()])
        for name, parameter in state.model.named_parameters():
            slope = parameter.grad
            grad = torch.zeros_like(parameter, dtype=torch.float32) if slope is None else slope.float()
            gradients[name] = gradients[name].add_(grad) if name in gradients else grad
    for summed in (sums, counts_LE, probs_LE, *gradients.values()):
        ranks.sum_over_ranks(summed)
    load_LE = counts_LE / counts_LE.sum(-1, keepdim=True).clamp(min=1)
    scale = wsd(
        state.step, steps=s.steps, warmup=s.optim.warmup_steps, decay_share=s.optim.decay_share, floor=s.optim.floor
    )
    each = tensor_norms(gradients)
    norm = global_norm(each.values())
    if norms is not None:
        norms.update(each)
    updated = bool(torch.isfinite(norm)) and bool(torch.isfinite(sums).all())
    if updated:
        if s.optim.clip_norm and norm > s.optim.clip_norm:
            torch._foreach_mul_(list(gradients.values()), float(s.optim.clip_norm / norm))
        state.optimizer.step(gradients, step=state.step, scale=scale)
        if len(load_LE):
            state.load_LE.copy_(load_LE)
        state.average()
    state.step += 1
    state.bad_steps = 0 if updated else state.bad_steps + 1
    state.bad_total += not updated
    state.refresh_weights()
    experts = load_LE.shape[-1]
    return StepReport(
        loss=float(sums[0]) / max(trained, 1.0),
        balance=float((load_LE * probs_LE / tokens).sum(-1).mean() * experts) if len(load_LE) else 0.0,
        z=float(sums[1]) / (layers * tokens),
        norm=float(norm),
        scale=scale,
        tokens=int(tokens),
        trained=int(trained),
        busiest=float(load_LE.max() * experts) if len(load_LE) else 0.0,
        updated=updated,
        parts=by_part(each),
        hidden=float(sums[2] / tokens) ** 0.5,
    )
