"""Likelihoods of token sequences, computed by the weights themselves. Needs torch; weights.py is the door to it.

Shapes: T tokens of a batch    S of them scored    V vocabulary
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from creuset.model.attention import PLAIN, Packed, ScoreRule, weigh
from creuset.model.transformer import Transformer

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
ROWS = 256  # rows of (V) logits held at a time
TOGETHER = 500  # sequences in one tree of tokens, whose attention is a square


@dataclass(frozen=True, slots=True)
class Surprise:
    """For each token but the first of a sequence, in nats."""

    logprob: Floats  # ln p of the token
    mean: Floats  # expected ln p of a token drawn from the same distribution: minus its entropy
    spread: Floats  # standard deviation of the same


def batches(sequences: Sequence[Ids], tokens_per_batch: int) -> Iterator[list[int]]:
    """Indices of `sequences`, equal lengths side by side, `tokens_per_batch` inputs at a time or one sequence."""
    order = sorted(range(len(sequences)), key=lambda i: (-len(sequences[i]), i))
    batch: list[int] = []
    size = 0
    for index in order:
        if batch and size + len(sequences[index]) > tokens_per_batch:
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += len(sequences[index])
    if batch:
        yield batch


def hidden(model: Transformer, sequences: Sequence[Ids]) -> torch.Tensor:
    """(T, C) of the sequences one behind the other; none sees another."""
    device = next(model.parameters()).device
    lengths = [len(s) for s in sequences]
    tokens_T = torch.from_numpy(np.concatenate(sequences).astype(np.int64)).to(device)
    positions_T = torch.from_numpy(np.concatenate([np.arange(n) for n in lengths])).to(device)
    found: torch.Tensor = model(tokens_T, positions_T, Packed(lengths))
    return found


@torch.inference_mode()
def surprises(
    model: Transformer,
    sequences: Sequence[Ids],
    *,
    tokens_per_batch: int = 4096,
    progress: Callable[[int], None] = lambda tokens: None,
) -> list[Surprise]:
    """Read each sequence from its own beginning; in the order of the sequences."""
    found: list[Surprise | None] = [None] * len(sequences)
    for batch in batches(sequences, tokens_per_batch):
        mine = [sequences[i] for i in batch]
        x_TC = hidden(model, [s[:-1] for s in mine])
        targets_T = torch.from_numpy(np.concatenate([s[1:] for s in mine]).astype(np.int64)).to(x_TC.device)
        parts: list[torch.Tensor] = []
        for start in range(0, len(targets_T), ROWS):
            logs_SV = model.logits(x_TC[start : start + ROWS]).float().log_softmax(-1)
            p_SV = logs_SV.exp()
            mean_S = (p_SV * logs_SV).sum(-1)
            # The second moment about the mean itself: a difference of two large numbers would be less exact.
            variance_S = (p_SV * (logs_SV - mean_S[:, None]) ** 2).sum(-1)
            own_S = logs_SV.gather(1, targets_T[start : start + ROWS, None])[:, 0]
            parts.append(torch.stack([own_S, mean_S, variance_S.sqrt()]))
        values = torch.cat(parts, dim=1).cpu().double().numpy()
        ends = np.cumsum([len(s) - 1 for s in mine])[:-1]
        for index, part in zip(batch, np.split(values, ends, axis=1), strict=True):
            found[index] = Surprise(*part)
        progress(sum(map(len, mine)))
    return [one for one in found if one is not None]


@torch.inference_mode()
def last_rows(
    model: Transformer, sequences: Sequence[Ids], rows: int, *, tokens_per_batch: int = 4096
) -> Iterator[tuple[int, Floats]]:
    """Yield (index, (rows, V) ln p of what follows each of the last `rows` tokens)."""
    for batch in batches(sequences, tokens_per_batch):
        mine = [sequences[i] for i in batch]
        x_TC = hidden(model, mine)
        end = 0
        for index, sequence in zip(batch, mine, strict=True):
            end += len(sequence)
            yield index, model.logits(x_TC[end - rows : end]).float().log_softmax(-1).cpu().double().numpy()


class Tree:
    """Attention in a tree of tokens: each sees itself and what leads to it, as far as the layer's window reaches."""

    def __init__(self, parents: Sequence[int], device: torch.device) -> None:
        sees = np.eye(len(parents), dtype=bool)
        depths = np.zeros(len(parents), dtype=np.int64)
        for at, parent in enumerate(parents):  # a parent stands before its children; the root has -1
            if parent >= 0:
                sees[at] |= sees[parent]
                depths[at] = depths[parent] + 1
        self.sees_TT = torch.from_numpy(sees).to(device)
        self.far_TT = torch.from_numpy(depths[:, None] - depths[None, :]).to(device)
        self.lengths = [(len(parents), int(depths.max(initial=0)) + 1)]

    def __call__(
        self, layer: int, q_THD: torch.Tensor, k_TGD: torch.Tensor, v_TGD: torch.Tensor, rule: ScoreRule = PLAIN
    ) -> torch.Tensor:
        sees_TT = self.sees_TT & (self.far_TT < rule.window) if rule.window else self.sees_TT
        q, k, v = (x.transpose(0, 1)[None] for x in (q_THD, k_TGD, v_TGD))
        if rule.plain:
            grouped = q.shape[1] != k.shape[1]
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=sees_TT, scale=rule.scale, enable_gqa=grouped)
            return y[0].transpose(0, 1)
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
        mask_TT = torch.zeros(sees_TT.shape, dtype=q.dtype, device=q.device).masked_fill_(~sees_TT, float("-inf"))
        sinks = None if rule.sinks_H is None else rule.sinks_H[:, None, None]
        return weigh(q, k, v, mask_TT, rule, sinks)[0].transpose(0, 1)


def sequence_logprobs(model: Transformer, sequences: Sequence[Ids]) -> Floats:
    """ln p of each sequence's tokens behind what all of them share, which is read once."""
    shortest = min(map(len, sequences))
    table = np.stack([s[:shortest] for s in sequences])
    differs = np.flatnonzero((table != table[0]).any(axis=0))
    common = max(1, int(differs[0]) if len(differs) else shortest - 1)
    rows = [[int(i) for i in ids] for ids in sequences]
    order = sorted(range(len(rows)), key=lambda i: rows[i])  # neighbours share the most
    total = np.empty(len(rows))
    for start in range(0, len(order), TOGETHER):
        part = order[start : start + TOGETHER]
        total[part] = branches(model, [rows[i] for i in part], common)
    return total


@torch.inference_mode()
def branches(model: Transformer, sequences: Sequence[Sequence[int]], first: int) -> Floats:
    """Sum of ln p of the tokens from position `first` on, of each sequence; what several share is read once.

    Ten thousand codes behind one sentence are a thousand stems: a tree of 1,100 tokens, not 20,000.
    """
    places: dict[tuple[int, int], int] = {}  # (parent, token) -> node
    tokens: list[int] = []
    parents: list[int] = []
    depths: list[int] = []
    wanted: list[list[tuple[int, int]]] = []  # of each sequence: (node, token that follows)
    for ids in sequences:
        at, mine = -1, []
        for depth, token in enumerate(ids):
            if depth >= first:
                mine.append((at, token))
            if depth == len(ids) - 1:
                break
            key = (at, token)
            if key not in places:
                places[key] = len(tokens)
                tokens.append(token)
                parents.append(at)
                depths.append(depth)
            at = places[key]
        wanted.append(mine)
    device = next(model.parameters()).device
    tokens_T, depths_T = (torch.tensor(x, device=device) for x in (tokens, depths))
    hidden_TC = model(tokens_T, depths_T, Tree(parents, device))
    asked = sorted({node for mine in wanted for node, _ in mine})
    row = {node: i for i, node in enumerate(asked)}
    logs_SV = np.concatenate([
        model.logits(hidden_TC[asked[i : i + ROWS]]).float().log_softmax(-1).cpu().numpy()
        for i in range(0, len(asked), ROWS)
    ])  # fmt: skip
    return np.array([sum(float(logs_SV[row[node], token]) for node, token in mine) for mine in wanted])
