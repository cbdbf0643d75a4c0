"""What is read of files without torch equals what torch makes of it."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from creuset.core.errors import ArtifactError
from creuset.model.formats.stored.numbers import BF16, E4M3, array_of, finite, fp32, tensor_of
from creuset.model.formats.stored.scaled import fp8_values
from creuset.model.formats.stored.shapes import parameter_shapes, weight_shapes
from creuset.model.formats.tensors import read
from creuset.model.formats.weights import parts
from creuset.model.transformer import Transformer
from creuset.testing import tiny_config
from tests.model.family_shapes import DENSE

CHANGES = {
    "qwen2": {}, "qwen3": {"tie_embeddings": False}, "qwen2_moe": {}, "qwen3_moe": {}, "mixtral": {}, "olmoe": {},
    "deepseek_v2": {}, "deepseek_v3": {"next_layers": 1}, "glm4_moe": {"next_layers": 1}, "gpt_oss": {},
}  # fmt: skip


def configs():
    yield from (pytest.param(tiny_config(family, **changes), id=name) for name, (family, changes) in DENSE.items())
    yield from (pytest.param(tiny_config(family, **changes), id=family) for family, changes in CHANGES.items())


@pytest.mark.parametrize("config", list(configs()))
def test_names_shapes_and_their_order_are_those_of_the_network(config):
    with torch.device("meta"):
        model = Transformer(config)
    assert list(parameter_shapes(config).items()) == [(n, tuple(p.shape)) for n, p in model.named_parameters()]
    assert list(weight_shapes(config).items()) == [(n, tuple(view.shape)) for n, view in parts(model).items()]


def test_bf16_goes_both_ways_and_has_the_same_values():
    every = torch.arange(65536, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    found = array_of(every)
    assert found.dtype == BF16
    assert torch.equal(tensor_of(found).view(torch.uint16), every.view(torch.uint16))
    np.testing.assert_array_equal(fp32(found), every.float().numpy())
    assert [finite(found[at : at + 1]) for at in range(65536)] == every.isfinite().tolist()


def test_each_code_of_fp8_has_torchs_value():
    codes = torch.arange(256, dtype=torch.uint8)
    found = fp8_values(codes.numpy().view(E4M3).reshape(1, 256), np.ones((1, 2), dtype=np.float32), (128, 128))
    np.testing.assert_array_equal(found[0], codes.view(torch.float8_e4m3fn).float().numpy())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_number_that_is_not_finite_is_seen(dtype, bad):
    values = np.ones((7, 5), dtype=dtype)
    assert finite(values) and finite(values[:0])
    values[6, 4] = bad
    assert not finite(values)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int8, torch.uint8, torch.int64, torch.bool],
)
def test_tensors_of_a_file_are_those_that_were_written(dtype, tmp_path):
    values = (torch.randn(3, 5, generator=torch.Generator().manual_seed(1)) * 9).to(dtype)
    odd = torch.ones(3, dtype=torch.uint8)
    save_file({"odd": odd, "value": values, "one": values[0, 0].clone()}, tmp_path / "x.safetensors")
    found = dict(read(tmp_path / "x.safetensors", ["value", "one", "odd"]))
    assert torch.equal(tensor_of(found["value"]), values) and torch.equal(tensor_of(found["one"]), values[0, 0])
    assert torch.equal(tensor_of(found["odd"]), odd)
    assert not found["value"].flags.writeable


def test_a_type_that_is_not_read_is_named(tmp_path):
    save_file({"c": torch.ones(2, dtype=torch.complex64)}, tmp_path / "x.safetensors")
    with pytest.raises(ArtifactError, match="tensor `c` is C64, which is not read"):
        list(read(tmp_path / "x.safetensors", ["c"]))
