"""Weights on disk: Hugging Face's layout, read and written, refused by the name of the tensor.

Reading order: `FolderWeights` (tensors as they are stored: what a backend reads), `apart` (which tensor of the file
is which part of which parameter), `load_model`, `save_model`. The file of quantized weights is model/quant.py's.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

from creuset.core.errors import ArtifactError
from creuset.core.gguf import is_gguf
from creuset.model.config import ModelConfig
from creuset.model.formats.hf_config import config_of, to_hf
from creuset.model.formats.names import TextPart
from creuset.model.formats.published import published, to_publish
from creuset.model.formats.refused import refuse_without_weights
from creuset.model.formats.stored import quantized
from creuset.model.formats.stored.numbers import Array, array_of, dequantized, finite, fp32, tensor_of
from creuset.model.formats.stored.parts import apart
from creuset.model.formats.stored.shapes import parameter_shapes, weight_shapes
from creuset.model.formats.tensors import header, read, write

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from creuset.model.transformer import Transformer

FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
FP32_ALWAYS = "e_score_correction_bias"  # its steps are a thousandth (model/layers/router.py)
Written = Literal["bf16", "fp32"]
BYTES: dict[Written, int] = {"bf16": 2, "fp32": 4}


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One weight as it is stored: plain numbers, codes with a scale for each group of inputs, or ggml's blocks."""

    name: str  # Hugging Face's
    codes: Array  # (out, in), int8 where there are scales; blocks are bytes, (out, bytes of a row). Never written to
    scales: Array | None  # (out, in / group)
    kind: str = ""  # ggml's name of the type of the blocks, such as Q4_K
    file: Path | None = None  # a GGUF file, whose numbers are looked at when they are asked for

    @property
    def shape(self) -> tuple[int, ...]:
        """(out, in), or (out) of a norm or a bias."""
        if not self.kind:
            return self.codes.shape
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType[self.kind]]
        return (*self.codes.shape[:-1], self.codes.shape[-1] // size * block)

    def fp32(self) -> NDArray[np.float32]:
        """The numbers it stands for; its own memory where it is stored like that. ArtifactError: not finite."""
        return fp32(self._plain())

    def values(self, dtype: "torch.dtype") -> "Tensor":
        """The same as a tensor."""
        return tensor_of(self._plain()).to(dtype)

    def _plain(self) -> Array:
        if self.scales is not None:
            return dequantized(self.codes, self.scales)
        found = self.codes
        if self.kind:
            from creuset.model.formats.gguf.blocks import dequantized as of_blocks

            found = of_blocks(self.codes, self.kind)
        if self.file is not None and not finite(found):
            raise ArtifactError(f"`{self.file}`: tensor `{self.name}` has values that are not finite")
        return found


class WeightSource(Protocol):
    """Where a backend gets a model's weights, as they are stored: codes and scales where they are quantized."""

    @property
    def config(self) -> ModelConfig: ...
    def tensors(self) -> Iterator[StoredTensor]: ...


class FolderWeights:
    """The weights in `folder`: ours (quantized or not) or Hugging Face's, of the families of model/families.py."""

    def __init__(self, folder: Path, *, guess: bool = False) -> None:
        """With `guess` the layer that guesses the token after the next is read too, where there is one."""
        self.folder, self.config = folder, config_of(folder)
        if self.config.next_layers and not (guess and self._has_guess()):
            self.config = replace(self.config, next_layers=0)

    def _has_guess(self) -> bool:
        """transformers leaves that layer out when it saves a model, and keeps its number in config.json."""
        if (self.folder / quantized.FILE).is_file():
            return False
        layer = f"model.layers.{self.config.layers}."
        return any(name.startswith(layer) for file in _files(self.folder) for name in header(file))

    def tensors(self) -> Iterator[StoredTensor]:
        """Each weight once. ArtifactError names the tensor that is missing, unexpected, cut or not finite."""
        if (self.folder / quantized.FILE).is_file():
            for name, codes, scales in quantized.stored(self.folder / quantized.FILE, parameter_shapes(self.config)):
                ends = repeat(None) if scales is None else (end for _, end in apart(name, scales))
                yield from (StoredTensor(part, own, end) for (part, own), end in zip(apart(name, codes), ends))  # noqa: B905
            return
        shapes = weight_shapes(self.config)
        files = {name: file for file in _files(self.folder) for name in header(file)}
        head, embedding = map(TextPart(files).name, (HEAD, EMBEDDING))
        tied = self.config.tie_embeddings and head in files
        also = {head} if tied else set()
        for name, value in published(self.folder, self.config, shapes, files, also=also):
            yield StoredTensor(name, value, None)
        if tied:
            self._refuse_other_head(files, head, embedding)

    def _refuse_other_head(self, files: dict[str, Path], head: str, embedding: str) -> None:
        ((_, one),), ((_, other),) = (list(read(files[name], [name])) for name in (head, embedding))
        if one.dtype != other.dtype or not np.array_equal(one, other):
            raise ArtifactError(f"`{self.folder}`: tensor `{head}` differs from the embedding it is tied to")


def parts(model: "Transformer") -> "dict[str, Tensor]":
    """Views of all parameters under Hugging Face's names."""
    return {part: view for name, one in model.named_parameters() for part, view in apart(name, one.detach())}


class ModelWeights:
    """The weights of a model in memory. Who builds from it takes the model over."""

    def __init__(self, model: "Transformer") -> None:
        self.model, self.config = model, model.config

    def tensors(self) -> Iterator[StoredTensor]:
        return (StoredTensor(name, array_of(value), None) for name, value in parts(self.model).items())


def build(
    source: WeightSource, *, device: "str | torch.device" = "cpu", dtype: "torch.dtype | None" = None
) -> "Transformer":
    """A model with the weights of `source`, in eval mode; the model in memory itself where that is the source."""
    import torch

    from creuset.model.transformer import Transformer

    dtype = dtype or torch.float32
    if isinstance(source, ModelWeights):
        return source.model.to(device, dtype).eval()
    with torch.device(device):
        model = Transformer(source.config).to(dtype)
    targets = parts(model)
    for tensor in source.tensors():
        target = targets[tensor.name]
        target.copy_(tensor.values(target.dtype))  # not `dtype`: a few stay fp32 whatever the model is
    return model.eval()


def open_weights(path: Path, *, guess: bool = False) -> WeightSource:
    """The weights of a model's folder or of a GGUF file. ArtifactError: they are of a kind that is not read."""
    if is_gguf(path):
        from creuset.model.formats.gguf.weights import GgufWeights

        return GgufWeights(path)
    return FolderWeights(path, guess=guess)


def load_model(
    path: Path, *, device: "str | torch.device" = "cpu", dtype: "torch.dtype | None" = None
) -> "Transformer":
    """The model of a folder or a GGUF file, in eval mode (None: fp32). ArtifactError names the tensor that is wrong."""
    return build(open_weights(path), device=device, dtype=dtype)


def _files(folder: Path) -> list[Path]:
    """The one file, or the shards that the index names."""
    if not (folder / INDEX).is_file():
        if not (folder / FILE).is_file():
            refuse_without_weights(folder)
        return [folder / FILE]
    try:
        names = set(json.loads((folder / INDEX).read_text())["weight_map"].values())
    except (ValueError, KeyError, AttributeError) as error:
        raise ArtifactError(f"`{folder / INDEX}` is not an index of shards") from error
    for name in sorted(names):
        if Path(name).name != name or not (folder / name).is_file():
            raise ArtifactError(f"`{folder}` lacks the shard `{name}` that its index names")
    return [folder / name for name in sorted(names)]


def save_model(
    model: "Transformer", folder: Path, *, dtype: Written = "bf16", shard_bytes: int = 5_000_000_000
) -> None:
    """config.json, generation_config.json and model.safetensors (or shards with an index), as Hugging Face has them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(model, folder, dtype)
    shards: list[dict[str, Callable[[], Tensor]]] = [{}]
    held = 0
    for name, make, numbers in to_publish(model.config, parts(model)):
        size = numbers * BYTES[dtype]
        if shards[-1] and held + size > shard_bytes:
            shards.append({})
            held = 0
        held += size
        shards[-1][name] = make
    if len(shards) == 1:
        _write(shards[0], folder / FILE, dtype)
        return
    weight_map: dict[str, str] = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        _write(shard, folder / file, dtype)
        weight_map |= dict.fromkeys(shard, file)
    total = sum(v.numel() for v in parts(model).values()) * BYTES[dtype]
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def write_config(model: "Transformer", folder: Path, dtype: Written) -> None:
    said = "bfloat16" if dtype == "bf16" else "float32"
    write_json(folder / "config.json", to_hf(model.config, dtype=said))
    write_json(folder / "generation_config.json", {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20})


def write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _write(tensors: "dict[str, Callable[[], Tensor]]", file: Path, dtype: Written) -> None:
    import torch

    own = {}
    for name, make in tensors.items():
        kept = torch.float32 if dtype == "fp32" or name.endswith(FP32_ALWAYS) else torch.bfloat16
        # A copy each: safetensors refuses tensors that share memory, as slices of stacked experts do.
        own[name] = make().to("cpu", kept, copy=True).contiguous()
    write(own, file, metadata={"format": "pt"})
