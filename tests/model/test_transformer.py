from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from creuset.model.attention import Packed, ScoreRule
from creuset.model.layers.router import Routing
from creuset.model.rope import frequencies, rotate, rotation
from creuset.model.rope_scaling import RopeScaling, attention_factor
from creuset.model.transformer import Transformer
from creuset.testing import tiny_config, tiny_model

FAMILIES = ["qwen2", "qwen3", "qwen2_moe", "qwen3_moe"]
LENGTHS = [5, 5, 1, 12, 7, 7, 7]


def naive_attention(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, lengths: list[int]) -> Tensor:
    """The definition: one head of one token at a time."""
    out_THD = torch.empty_like(q_THD)
    share = q_THD.shape[1] // k_TGD.shape[1]
    start = 0
    for length in lengths:
        for t in range(start, start + length):
            for h in range(q_THD.shape[1]):
                keys_SD, values_SD = k_TGD[start : t + 1, h // share], v_TGD[start : t + 1, h // share]
                weight_S = (keys_SD @ q_THD[t, h] / q_THD.shape[2] ** 0.5).softmax(0)
                out_THD[t, h] = weight_S @ values_SD
        start += length
    return out_THD


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_packed_attention_equals_the_definition_with_every_gradient(groups: int) -> None:
    torch.manual_seed(0)
    total = sum(LENGTHS)
    q, k, v = (torch.randn(total, n, 8, dtype=torch.float64, requires_grad=True) for n in (4, groups, groups))
    found, wanted = Packed(LENGTHS)(0, q, k, v), naive_attention(q.detach(), k.detach(), v.detach(), LENGTHS)
    torch.testing.assert_close(found, wanted)
    g = torch.randn_like(found)
    got = torch.autograd.grad(found, (q, k, v), g)
    blocked = torch.block_diag(*(torch.ones(n, n).tril() for n in LENGTHS)).bool()
    kk, vv = (x.repeat_interleave(4 // groups, dim=1) for x in (k, v))
    masked = F.scaled_dot_product_attention(*(x.transpose(0, 1)[None] for x in (q, kk, vv)), attn_mask=blocked)
    want = torch.autograd.grad(masked[0].transpose(0, 1), (q, k, v), g)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)


RULES = {
    "window": ScoreRule(window=3),
    "scale": ScoreRule(scale=0.7),
    "cap": ScoreRule(scale=0.7, cap=0.5),
    "sinks": ScoreRule(sinks_H=torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)),
    "all": ScoreRule(0.7, 300, 0.5, torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)),
}


def slow_attention(q_THD: Tensor, k_TGD: Tensor, v_TGD: Tensor, rule: ScoreRule) -> Tensor:
    """The definition for one sequence: all scores at once, one softmax a head and token, in the order of the words."""
    share, far = q_THD.shape[1] // k_TGD.shape[1], torch.arange(len(q_THD))[:, None] - torch.arange(len(q_THD))
    out = []
    for head in range(q_THD.shape[1]):
        scores = q_THD[:, head] @ k_TGD[:, head // share].T * (rule.scale or q_THD.shape[2] ** -0.5)
        scores = rule.cap * torch.tanh(scores / rule.cap) if rule.cap else scores
        scores = scores.masked_fill((far < 0) | (far >= (rule.window or len(far))), float("-inf"))
        largest = scores.max(1, keepdim=True).values
        weights = (scores - largest).exp()
        nothing = 0 if rule.sinks_H is None else (rule.sinks_H[head] - largest).exp()
        out.append(weights / (weights.sum(1, keepdim=True) + nothing) @ v_TGD[:, head // share])
    return torch.stack(out, 1)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("lengths", [LENGTHS, [600]], ids=["short", "longer than a part"])
def test_windows_scales_caps_and_sinks_equal_the_definition_with_every_gradient(name: str, lengths: list[int]) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(sum(lengths), n, 8, dtype=torch.float64, requires_grad=True) for n in (4, 2, 2))
    found = Packed(lengths)(0, q, k, v, RULES[name])
    wanted = torch.cat(
        [slow_attention(*one, RULES[name]) for one in zip(*(x.split(lengths) for x in (q, k, v)), strict=True)]
    )
    # Softmax is in fp32 where it is done step by step.
    close = {"rtol": 1e-5, "atol": 1e-5} if not RULES[name].plain else {}
    torch.testing.assert_close(found, wanted, **close)
    g = torch.randn_like(found)
    for a, b in zip(torch.autograd.grad(found, (q, k, v), g), torch.autograd.grad(wanted, (q, k, v), g), strict=True):
        torch.testing.assert_close(a, b, **close)


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_sequences_do_not_see_each_other(family: str) -> None:
    model = tiny_model(tiny_config(family))  # type: ignore[arg-type]
    tokens = torch.randint(0, 512, (sum(LENGTHS),), generator=torch.Generator().manual_seed(0))
    positions = torch.cat([torch.arange(n) for n in LENGTHS])
    with torch.inference_mode():
        together = model(tokens, positions, Packed(LENGTHS))
        alone = [model(row, torch.arange(len(row)), Packed([len(row)])) for row in tokens.split(LENGTHS)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def gradients(model: Transformer, *, checkpoint: bool) -> tuple[dict[str, Tensor], list[Routing]]:
    model.zero_grad()
    model.checkpoint = checkpoint
    routers: list[Routing] = []
    tokens = torch.arange(24) % 7
    hidden = model(tokens, torch.arange(24) % 12, Packed([12, 12]), routers=routers)
    # The routers' own loss has to reach the weights through the noted statistics, too.
    z_losses = [r.logits_TE.logsumexp(-1).square().mean() for r in routers]
    (F.cross_entropy(model.logits(hidden).float(), tokens) + sum(z_losses)).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}, routers


@pytest.mark.parametrize("family", ["qwen3", "qwen2_moe", "qwen3_moe"])
def test_recomputing_activations_changes_no_gradient_and_notes_each_routing_once(family: str) -> None:
    model = tiny_model(tiny_config(family))  # type: ignore[arg-type]
    plain, routers = gradients(model, checkpoint=False)
    again, recomputed = gradients(model, checkpoint=True)
    assert len(routers) == len(recomputed) == (0 if family == "qwen3" else 2)
    assert plain.keys() == again.keys() == dict(model.named_parameters()).keys()
    for name in plain:
        assert torch.equal(plain[name], again[name]), name


def test_on_a_gpu_torchs_variable_length_kernel_takes_what_we_give_it() -> None:
    """Shapes and dtypes only, with tensors that hold no numbers; the numbers are the next test's, on a GPU."""
    with torch.no_grad(), FakeTensorMode(), torch.device("cuda"):
        q, k, v = (torch.empty(24, heads, 32, dtype=torch.bfloat16) for heads in (4, 2, 2))
        y_THD = Packed([12, 5, 7])(0, q, k, v)
    assert y_THD.shape == q.shape and y_THD.is_cuda and y_THD.dtype == torch.bfloat16


@pytest.mark.parametrize("width", [48, 320])
def test_on_a_gpu_values_may_be_narrower_than_keys_and_heads_wider_than_the_kernel_takes(width: int) -> None:
    with torch.no_grad(), FakeTensorMode(), torch.device("cuda"):
        q, k = (torch.empty(24, 4, width, dtype=torch.bfloat16) for _ in range(2))
        y_THD = Packed([12, 12])(0, q, k, torch.empty(24, 4, 32, dtype=torch.bfloat16))
    assert y_THD.shape == (24, 4, 32) and y_THD.is_cuda


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: compares its numbers with the CPU's")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_gives_the_numbers_of_the_cpu(family: str) -> None:
    model = tiny_model(tiny_config(family, head_dim=32))  # type: ignore[arg-type]
    tokens, positions = torch.arange(sum(LENGTHS)) % 50, torch.cat([torch.arange(n) for n in LENGTHS])
    wanted = model(tokens, positions, Packed(LENGTHS))
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.bfloat16, 0.05)):
        found = model.to("cuda", dtype)(tokens.cuda(), positions.cuda(), Packed(LENGTHS)).cpu().float()
        assert (found - wanted).norm() <= tolerance * wanted.norm()


def test_the_same_seed_gives_the_same_weights_and_depth_shrinks_what_is_added() -> None:
    config = tiny_config("qwen3", layers=8, hidden=64)
    first, second = Transformer(config), Transformer(config)
    first.init_weights(torch.Generator().manual_seed(3))
    second.init_weights(torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    weights = dict(first.named_parameters())
    assert weights["model.layers.0.mlp.up_proj.weight"].std().item() == pytest.approx(0.02, rel=0.1)
    assert weights["model.layers.0.mlp.down_proj.weight"].std().item() == pytest.approx(0.02 / 4, rel=0.1)
    assert bool((weights["model.norm.weight"] == 1).all())


def test_rotations_depend_on_distance_only() -> None:
    freq, factor = frequencies(tiny_config(head_dim=16))
    q, k = torch.randn(2, 1, 1, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def score(at_q: int, at_k: int) -> Tensor:
        places = [rotation(torch.tensor([at]), freq, factor, torch.float64) for at in (at_q, at_k)]
        return (rotate(q, places[0]) * rotate(k, places[1])).sum()

    torch.testing.assert_close(score(7, 3), score(104, 100), rtol=1e-4, atol=1e-5)
    assert (score(7, 3) - score(7, 4)).abs() > 1e-3


def test_positions_stay_exact_in_a_bf16_model() -> None:
    model = tiny_model(tiny_config()).to(torch.bfloat16)
    assert model.rotary.short[0][0].dtype == torch.float32
    freq, factor = frequencies(tiny_config())
    cos, _ = rotation(torch.tensor([256, 257]), freq, factor, torch.bfloat16)
    assert not torch.equal(cos[0], cos[1])


def test_yarn_leaves_fast_pairs_alone_and_slows_the_others_by_the_factor() -> None:
    config = tiny_config(head_dim=64, rope_theta=10_000.0)
    plain, _ = frequencies(config)
    yarn = RopeScaling(kind="yarn", factor=4.0, original_context=2048)
    stretched, factor = frequencies(replace(config, rope_scaling=yarn))
    assert stretched[0] == plain[0] and stretched[-1].item() == pytest.approx(plain[-1].item() / 4)
    assert factor == attention_factor(yarn) == pytest.approx(1.13863, abs=1e-5)
