"""Packing: codes that are stored are the codes that are multiplied."""

import numpy as np
import pytest
import torch
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

from creuset.core.errors import ArtifactError
from creuset.core.native.library import NativeUnavailable, library
from creuset.engine.backend.native.matrix import Products
from creuset.engine.backend.native.weights import GGML, Packer
from creuset.model import quant
from creuset.model.formats.gguf.blocks import quantized
from creuset.model.formats.stored.numbers import array_of
from creuset.model.formats.weights import StoredTensor


@pytest.fixture(autouse=True)
def native() -> None:
    try:
        library()
    except NativeUnavailable as error:
        pytest.skip(error.reason)


def normal(outs: int, ins: int) -> torch.Tensor:
    return torch.randn(outs, ins, generator=torch.Generator().manual_seed(outs + ins))


def stored(values: torch.Tensor, bits: int, group: int, name: str = "w") -> StoredTensor:
    return StoredTensor(name, *map(array_of, quant.quantize(values, bits, group)))


def blocks(kind: str, outs: int, ins: int) -> StoredTensor:
    """Random blocks of a type, with scales that are plain numbers; as the gguf library writes them where it can."""
    wanted = GGMLQuantizationType[kind]
    if kind == "Q6_K":
        rng = np.random.default_rng(6)
        raw = rng.integers(0, 256, (outs, ins // 256, 210), dtype=np.uint8)
        raw[..., 208:] = np.array([0.01], np.float16).view(np.uint8)
        return StoredTensor("w", raw.reshape(outs, -1), None, kind)
    return StoredTensor("w", quantized(normal(outs, ins), wanted), None, kind)


def unpacked(packer: Packer, tensor: StoredTensor) -> tuple[str, np.ndarray]:
    packed = packer(tensor)
    return packed.kind, Products(library()).unpack(packed)


@pytest.mark.parametrize("kind", GGML)
def test_blocks_of_ggml_are_packed_without_rounding(kind):
    tensor = blocks(kind, 37, 512)
    packer = Packer(library(), floats="bf16")
    found_kind, found = unpacked(packer, tensor)
    assert found_kind == GGML[kind][0]
    np.testing.assert_array_equal(found, dequantize(tensor.codes, GGMLQuantizationType[kind]))
    assert not packer.rounded


def test_other_blocks_are_rounded_to_8_bits_and_counted():
    tensor = blocks("Q5_1", 20, 64)
    packer = Packer(library(), floats="bf16")
    kind, found = unpacked(packer, tensor)
    values = tensor.values(torch.float32)
    assert kind == "q8"
    assert dict(packer.rounded) == {"Q5_1": 1}
    np.testing.assert_array_equal(found, quant.dequantize(*quant.quantize(values, 8, 32)).numpy())


@pytest.mark.parametrize(("bits", "group", "kind"), [(8, 32, "q8"), (8, 16, "q8"), (8, 64, "q8"), (4, 32, "q4"),
                                                     (4, 64, "q4"), (4, 16, "q8")])  # fmt: skip
def test_our_codes_are_packed_without_rounding(bits, group, kind):
    tensor = stored(normal(50, 192), bits, group)
    assert unpacked(Packer(library(), floats="f32"), tensor)[0] == kind
    np.testing.assert_array_equal(
        unpacked(Packer(library(), floats="f32"), tensor)[1], tensor.values(torch.float32).numpy()
    )


def test_groups_that_no_kind_has_become_plain_numbers():
    tensor = stored(normal(18, 40), 8, 8)
    kind, found = unpacked(Packer(library(), floats="f32"), tensor)
    assert kind == "f32"
    np.testing.assert_array_equal(found, tensor.values(torch.float32).numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("floats", ["f32", "bf16"])
def test_plain_numbers_are_packed_in_the_kind_that_is_asked_for(dtype, floats):
    values = normal(33, 44).to(dtype)
    kind, found = unpacked(Packer(library(), floats=floats), StoredTensor("w", array_of(values), None))
    assert kind == floats
    expected = values.float() if floats == "f32" else values.to(torch.bfloat16).float()
    np.testing.assert_array_equal(found, expected.numpy())


def test_plain_numbers_are_rounded_as_quantize_does_and_the_embedding_stays_wider():
    packer = Packer(library(), floats="q4")
    for name, bits, kind in (("w", 4, "q4"), ("lm_head.weight", 8, "q8")):
        found_kind, found = unpacked(packer, StoredTensor(name, normal(40, 96).numpy(), None))
        assert found_kind == kind
        np.testing.assert_array_equal(found, quant.dequantize(*quant.quantize(normal(40, 96), bits, 32)).numpy())


def test_a_router_and_all_that_must_be_exact_are_f32():
    router = stored(normal(8, 64), 8, 32, "model.layers.0.mlp.gate.weight")
    assert unpacked(Packer(library(), floats="bf16"), router)[0] == "f32"
    kind, found = unpacked(Packer(library(), floats="bf16", exact=True), blocks("Q4_K", 20, 256))
    assert kind == "f32"
    np.testing.assert_array_equal(found, blocks("Q4_K", 20, 256).values(torch.float32).numpy())


def test_a_scale_that_is_not_finite_is_refused_by_the_name_of_the_tensor():
    tensor = blocks("Q8_0", 20, 64)
    tensor.codes[17, 34:36] = 0, 0x7E
    with pytest.raises(ArtifactError, match="tensor `w` has values that are not finite"):
        Packer(library(), floats="bf16")(tensor)


def test_parts_of_a_matrix_are_packed_beside_each_other():
    products = Products(library())
    whole, parts = (products.empty("q8", 72, 64) for _ in range(2))
    values = normal(72, 64).numpy()
    products.pack_values(whole, values)
    products.pack_values(parts, values[32:], 32)
    products.pack_values(parts, values[:32], 0)
    np.testing.assert_array_equal(whole.memory, parts.memory)
