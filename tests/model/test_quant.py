from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from creuset.core.errors import ArtifactError, ConfigError
from creuset.model.config import ModelConfig
from creuset.model.formats.stored.quantized import unpack4
from creuset.model.formats.weights import load_model, save_model
from creuset.model.quant import FILE, QuantPlan, dequantize, fake_quant, pack4, quantize, quantize_folder
from creuset.testing import tiny_config, tiny_model

PLAN = QuantPlan(experts=4, group=16)
Q4 = "model.layers.0.mlp.experts.gate_up"
Q8 = "model.layers.1.self_attn.k_proj.weight"


def weights(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.05


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10**6), bits=st.sampled_from([4, 8]), scale=st.sampled_from([1e-12, 1.0, 1e12]))
def test_codes_survive_the_way_back(seed: int, bits: int, scale: float) -> None:
    codes, scales = quantize(weights(seed, 3, 4, 32) * scale, bits, 8)
    again, scales_again = quantize(dequantize(codes, scales), bits, 8)
    assert torch.equal(codes, again) and torch.equal(scales, scales_again)


@pytest.mark.parametrize(("bits", "steps"), [(8, 127), (4, 8)])
def test_no_weight_moves_by_more_than_its_group_allows(bits: int, steps: int) -> None:
    weight = weights(1, 64, 64)
    moved = (dequantize(*quantize(weight, bits, 32)) - weight).abs().view(64, 2, 32)
    largest = weight.abs().view(64, 2, 32).amax(-1, keepdim=True)
    # Half a step; 4 bits lack +8, so that the far end of the other sign may lose a whole one. bf16 scale: 2^-8.
    allowed = largest / steps * (0.5 if bits == 8 else 1.0) + largest * 2**-8
    assert bool((moved <= allowed).all())


def test_a_group_of_zeros_stays_zero() -> None:
    for bits in (4, 8):
        assert not dequantize(*quantize(torch.zeros(2, 32), bits, 16)).any()


def test_two_codes_fit_in_a_byte() -> None:
    codes = torch.arange(-8, 8, dtype=torch.int8).repeat(2, 3)
    packed = pack4(codes)
    assert (
        packed.dtype == torch.uint8
        and packed.shape == (2, 24)
        and np.array_equal(unpack4(packed.numpy()), codes.numpy())
    )


def test_fake_quant_gives_what_will_be_loaded_and_lets_gradients_through() -> None:
    weight = weights(2, 8, 32).requires_grad_()
    rounded = fake_quant(weight, 4, 16)
    torch.testing.assert_close(rounded, dequantize(*quantize(weight.detach(), 4, 16)))
    (gradient,) = torch.autograd.grad((rounded * torch.arange(32.0)).sum(), weight)
    assert torch.equal(gradient, torch.arange(32.0).expand(8, 32))
    assert fake_quant(weight, 0, 16) is weight


def test_a_width_that_groups_do_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="input width 30 is not a multiple of group 16"):
        quantize(torch.zeros(4, 30), 8, 16)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    save_model(tiny_model(tiny_config("qwen2_moe", tie_embeddings=False)), tmp_path / "whole", dtype="fp32")
    quantize_folder(tmp_path / "whole", tmp_path / "light", PLAN)
    return tmp_path / "whole", tmp_path / "light"


def test_a_quantized_folder_loads_as_its_rounded_self(folders: tuple[Path, Path]) -> None:
    whole, light = map(load_model, folders)
    assert light.config == whole.config
    for (name, exact), rounded in zip(whole.named_parameters(), light.parameters(), strict=True):
        bits = PLAN.bits(name)
        wanted = dequantize(*quantize(exact.detach(), bits, PLAN.group)) if bits else exact.detach()
        assert torch.equal(rounded.detach(), wanted), name


def test_norms_biases_and_the_router_are_kept_and_the_rest_is_not(folders: tuple[Path, Path]) -> None:
    whole = [name for name in load_file(folders[1] / FILE) if not name.endswith((".scale", ".q8", ".q4"))]
    kept = {".".join(name.split(".")[-2:]) for name in whole}
    assert kept == {
        "input_layernorm.weight", "post_attention_layernorm.weight", "norm.weight", "gate.weight",
        "shared_expert_gate.weight", "q_proj.bias", "k_proj.bias", "v_proj.bias",
    }  # fmt: skip


def test_quantizing_what_was_quantized_changes_nothing(folders: tuple[Path, Path], tmp_path: Path) -> None:
    quantize_folder(folders[1], tmp_path / "again", PLAN)
    assert (tmp_path / "again" / FILE).read_bytes() == (folders[1] / FILE).read_bytes()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (f"{Q4}.q4", None, f"tensor `{Q4}"),
        (f"{Q8}.scale", None, f"tensor `{Q8}.scale` is missing"),
        ("model.layers.9.norm", torch.zeros(3), "tensor `model.layers.9.norm` is not part"),
        (f"{Q4}.q4", torch.zeros(4, 64, 8, dtype=torch.uint8), f"tensor `{Q4}.q4` is for [4, 64, 16]"),
        (f"{Q8}.q8", torch.zeros(16, 32), f"tensor `{Q8}.q8` is float32"),
        (f"{Q8}.scale", torch.zeros(16, 3, dtype=torch.bfloat16), f"tensor `{Q8}.scale` has shape [16, 3]"),
        (f"{Q8}.scale", torch.full((16, 2), float("nan")), f"tensor `{Q8}.scale` has values that are not finite"),
        ("model.norm.weight", torch.full((32,), float("inf")), "tensor `model.norm.weight` has values"),
    ],
)
def test_a_damaged_file_is_refused_by_the_name_of_the_tensor(
    folders: tuple[Path, Path], name: str, value: torch.Tensor | None, words: str
) -> None:
    tensors = load_file(folders[1] / FILE)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    save_file(tensors, folders[1] / FILE)
    with pytest.raises(ArtifactError) as refused:
        load_model(folders[1])
    assert words in str(refused.value)


def test_a_cut_file_is_refused_by_the_name_of_the_tensor(folders: tuple[Path, Path]) -> None:
    file = folders[1] / FILE
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match="is cut: tensor `"):
        load_model(folders[1])


def test_plans_refuse_bits_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="experts must be 0, 4 or 8 bits, got 3"):
        QuantPlan(experts=3)


def test_the_error_of_eight_bits_is_far_below_that_of_four() -> None:
    weight = weights(3, 256, 256)
    errors = [(dequantize(*quantize(weight, bits, 32)) - weight).std() / weight.std() for bits in (8, 4)]
    assert errors[0] < 0.008 and errors[1] < 0.12


def test_tied_models_store_the_embedding_once(tmp_path: Path) -> None:
    config: ModelConfig = tiny_config("qwen3")
    save_model(tiny_model(config), tmp_path / "a")
    quantize_folder(tmp_path / "a", tmp_path / "b", PLAN)
    assert "lm_head.weight.q8" not in load_file(tmp_path / "b" / FILE)
