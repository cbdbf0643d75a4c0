"""Matrix products in which a row's result does not depend on how many other rows there are.

A BLAS chooses its kernel by the shape of the whole product, and kernels add in different orders: a token decoded
alone (one row) and the same token in a batch of nine get logits that differ in the last bits, which is enough to
change a greedy answer. Measured with torch 2.13 on AVX2, fp32: MKL has one result for 1 row, another for 2 and 3,
another for 4 and more, and the rows left over of a multiple of 4 may differ too; oneDNN's product with packed
weights has one result for any number of rows.

So the engine asks the machine it runs on: `measure` does every shape of product that the model has with many
numbers of rows, forwards and backwards, and compares bit for bit. `KernelRules` is what may then be used:

    packed     oneDNN with weights laid out beforehand, any number of rows (large weights)
    quantum    plain products whose rows are padded to a multiple of it (1: as they are)
    quantum 0  none was found: each row by itself; right by construction, slow

and no product gets more rows than were measured. Attention's kernel is asked in the same way.
docs/adr/ tells what this costs.

Shapes: M rows    K in    N out
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from creuset.model.attention import PLAIN, ScoreRule, weigh

TILE = 32
_QUANTA = (1, 2, 4, 8, 16, 32)
_ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 24, 31, 32, 33, 63, 64, 96, 128, 255, 512)
# A weight smaller than this is multiplied faster than oneDNN prepares a call (20 to 30 us).
_PACK_FROM = 96 * 1024
_ONE_THREAD = 32768  # elements below which torch does not split an operation


@dataclass(frozen=True, slots=True)
class KernelRules:
    """How products are to be done on this machine, in this type of number."""

    packed: bool
    quantum: int
    attention: int  # the same for the query rows of attention; 0: none was found, and nothing is promised
    batched: bool  # several weights may be multiplied in one call, with as many rows for each
    activation: bool  # activations may be computed all at once, else in parts that one thread does


Bend = Callable[[Tensor], Tensor]  # an activation, with its gate where it has one: rows in, rows out


def swiglu(h_M2F: Tensor) -> Tensor:
    """silu of the first half of each row times the second half."""
    gate_MF, up_MF = h_M2F.chunk(2, dim=-1)
    return F.silu(gate_MF) * up_MF


def row_limit(n: int, k: int) -> int:
    """Rows a product with an (n, k) weight gets at once. Bounds the time `measure` takes."""
    return 512 if n * k <= 2**20 else 128 if n * k <= 2**24 else 32


@torch.inference_mode()
def measure(
    shapes: Iterable[tuple[int, int]],
    *,
    dtype: torch.dtype,
    head_dim: int,
    widths: Iterable[int] = (),
    stacks: Iterable[tuple[int, int, int]] = (),
    bend: Bend = swiglu,
    rule: ScoreRule = PLAIN,
    device: str = "cpu",
) -> KernelRules:
    """Ask this machine. `shapes` are (N, K) of the weights, `stacks` (E, N, K) of those of experts,
    `widths` what the activation `bend` takes in, `rule` how attention scores (of `head_dim` numbers a head)."""
    if device != "cpu":
        # Not measured: what is promised is promised on CPU.
        return KernelRules(packed=False, quantum=1, attention=1, batched=True, activation=True)
    known = sorted(set(shapes))
    large = [(n, k) for n, k in known if n * k >= _PACK_FROM]
    packed = all(_packed_alike(n, k, dtype) for n, k in large)
    plain = [(n, k) for n, k in known if not packed or n * k < _PACK_FROM]
    quanta = (q for q in _QUANTA if all(_plain_alike(n, k, dtype, q) for n, k in plain))
    attention = (q for q in _QUANTA if _attention_alike(head_dim, dtype, q, rule))
    activation = all(_activation_alike(width, dtype, bend) for width in set(widths))
    quantum = next(quanta, 0)
    batched = quantum > 0 and all(_batched_alike(stack, dtype, quantum) for stack in stacks)
    return KernelRules(packed, quantum, next(attention, 0), batched, activation)


def activate(h: Tensor, bend: Bend = swiglu, *, whole: bool = True) -> Tensor:
    """`bend` of each row of `h`.

    Torch splits a large tensor among threads wherever it falls, and each thread's last elements are computed by
    another routine. Where that was seen to matter (`whole` is false) parts are small enough for one thread.
    """
    rows = max(1, 2 * _ONE_THREAD // h.shape[1])
    if not whole and h.shape[0] > rows:
        return torch.cat([bend(part) for part in torch.split(h, rows)])
    return bend(h)


def capped(x: Tensor, at: float) -> Tensor:
    """at tanh(x / at). On the CPU in parts that one thread does and that lie alike in every row: whole rows where
    these fill vector registers, as rows of scores do, else one row at a time."""
    if x.device.type != "cpu":
        return torch.tanh(x / at) * at
    flat = x.reshape(-1, x.shape[-1]) / at
    together = max(1, _ONE_THREAD // flat.shape[1]) if flat.shape[1] % 64 == 0 else 1
    for rows in torch.split(flat, together):
        for part in torch.split(rows, _ONE_THREAD, dim=1):
            part.tanh_()
    return flat.mul_(at).view(x.shape)


def _noise(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def _alike(call: Callable[[Tensor], Tensor], x_MK: Tensor, rows: Sequence[int]) -> bool:
    """Whether every number of `rows` gives each row what the largest product gives it, wherever the row stands.

    By one thread and by all: the runner changes between the two.
    """
    whole = call(x_MK)
    for threads in {1, torch.get_num_threads()}:
        with using(threads):
            for count in rows:
                part = call(x_MK[:count].contiguous())
                if not torch.equal(part, whole[:count]):
                    return False
                if count <= 64 and not torch.equal(call(x_MK[:count].flip(0)).flip(0), part):
                    return False
    return True


@contextmanager
def using(threads: int) -> Iterator[None]:
    """Compute with that many threads inside the block."""
    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _packed_alike(n: int, k: int, dtype: torch.dtype) -> bool:
    limit = row_limit(n, k)
    try:
        product = PackedLinear(_noise(n, k, dtype=dtype), None)
        return _alike(product, _noise(limit, k, dtype=dtype), [m for m in _ROWS if m <= limit])
    except (RuntimeError, AttributeError):  # this build of torch has no such operator for this type
        return False


def _plain_alike(n: int, k: int, dtype: torch.dtype, quantum: int) -> bool:
    limit, weight_NK = row_limit(n, k), _noise(k, n, dtype=dtype).t()
    rows = [m for m in _ROWS if m <= limit and m % quantum == 0]
    return _alike(lambda x_MK: F.linear(x_MK, weight_NK), _noise(limit, k, dtype=dtype), rows)


def _activation_alike(width: int, dtype: torch.dtype, bend: Bend) -> bool:
    limit = max(1, min(512, 2**21 // width))
    return _alike(lambda h: activate(h, bend), _noise(limit, width, dtype=dtype), [m for m in _ROWS if m <= limit])


def _batched_alike(stack: tuple[int, int, int], dtype: torch.dtype, quantum: int) -> bool:
    """Whether one call for all experts gives each row what its own expert's plain product gives it."""
    if stack[1] * stack[2] >= _PACK_FROM:
        return False  # such weights are packed, and worth reading only for experts that got rows
    weight_ENK = _noise(stack[0], stack[2], stack[1], dtype=dtype).transpose(1, 2)
    for count in (quantum, 2 * quantum, 3 * quantum, 4 * quantum, 8 * quantum):
        x_EMK = _noise(stack[0], count, stack[2], dtype=dtype)
        apart = torch.stack([F.linear(x, weight) for x, weight in zip(x_EMK, weight_ENK, strict=True)])
        if not torch.equal(torch.bmm(x_EMK, weight_ENK.transpose(1, 2)), apart):
            return False
    return True


def _attention_alike(width: int, dtype: torch.dtype, quantum: int, rule: ScoreRule) -> bool:
    rows = [m for m in _ROWS if m <= 128 and m % quantum == 0]
    for length in (64, 192, 768):
        keys, values = _noise(1, 1, length, width, dtype=dtype), _noise(1, 1, length, width, dtype=dtype)
        mask_1L = _noise(1, 1, 1, length, dtype=dtype)

        def attend(q_MD: Tensor, keys: Tensor = keys, values: Tensor = values, mask_1L: Tensor = mask_1L) -> Tensor:
            return attention(q_MD[None, None], keys, values, mask_1L.expand(1, 1, len(q_MD), -1), rule)[0, 0]

        if not _alike(attend, _noise(128, width, dtype=dtype), rows):
            return False
        if not rule.plain and not _crowd_alike(attend, keys, values, mask_1L, rule, quantum):
            return False
    return True


def _crowd_alike(
    attend: Callable[[Tensor], Tensor], keys: Tensor, values: Tensor, mask: Tensor, rule: ScoreRule, quantum: int
) -> bool:
    """Whether several requests and heads in one call get what each gets alone: matrix products may not promise that."""
    for requests, heads in ((1, 3), (2, 1), (5, 2)):
        q_BGMD = _noise(requests, heads, quantum, keys.shape[-1], dtype=keys.dtype)
        k, v = (x.expand(requests, heads, -1, -1) for x in (keys, values))
        together = attention(q_BGMD, k, v, mask.expand(requests, heads, quantum, -1), rule)
        if not all(
            torch.equal(attend(q), one) for q, one in zip(q_BGMD.flatten(0, 1), together.flatten(0, 1), strict=True)
        ):
            return False
    return True


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, rule: ScoreRule, sinks: Tensor | None = None) -> Tensor:
    """q (B, G, R, D), k and v (B, G, L, D), `mask` (B, 1, R, L) added to the scores, `sinks` (1, G, R, 1)."""
    if rule.plain:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=rule.scale)
    return weigh(q, k, v, mask, rule, sinks, capped=capped)


class PackedLinear:
    """oneDNN, weights laid out beforehand. The weight given is not kept."""

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None) -> None:
        self.limit = row_limit(*weight_NK.shape)
        self.weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight_NK.contiguous(), 64)
        self.bias = bias_N
        self._product = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, x_MK: Tensor) -> Tensor:
        if x_MK.shape[0] > self.limit:
            return torch.cat([self(part) for part in torch.split(x_MK, self.limit)])
        y_MN: Tensor = self._product(x_MK, self.weight, self.bias, "none", [], "")
        return y_MN


class PaddedLinear:
    """Plain product, rows padded to a multiple of `quantum`; weights lie input by input, faster with few rows."""

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None, quantum: int) -> None:
        self.limit, self.quantum = row_limit(*weight_NK.shape), quantum
        self.weight, self.bias = weight_NK.t().contiguous().t(), bias_N

    def __call__(self, x_MK: Tensor) -> Tensor:
        rows = x_MK.shape[0]
        if rows > self.limit:
            return torch.cat([self(part) for part in torch.split(x_MK, self.limit)])
        if padding := -rows % self.quantum:
            return F.linear(torch.constant_pad_nd(x_MK, (0, 0, 0, padding)), self.weight, self.bias)[:rows]
        return F.linear(x_MK, self.weight, self.bias)


class SingleRowLinear(PaddedLinear):
    """Plain products of one row. In a product of more, what a row gets may depend on its place among them."""

    def __init__(self, weight_NK: Tensor, bias_N: Tensor | None) -> None:
        super().__init__(weight_NK, bias_N, 1)
        self.limit = 1


Product = Callable[[Tensor], Tensor]


def product(weight_NK: Tensor, bias_N: Tensor | None, rules: KernelRules) -> Product:
    """What multiplies rows by `weight_NK` as `rules` allow."""
    weight_NK = weight_NK.detach()
    bias_N = None if bias_N is None else bias_N.detach()
    if rules.packed and weight_NK.numel() >= _PACK_FROM:
        return PackedLinear(weight_NK, bias_N)
    if rules.quantum == 0:
        return SingleRowLinear(weight_NK, bias_N)
    return PaddedLinear(weight_NK, bias_N, rules.quantum)
