"""Weights on disk: Hugging Face's layout, read and written, refused by the name of the tensor.

Reading order: `parts` (which tensor of the file is which part of which parameter), `load_model`,
`save_model`. Quantized weights (`model.q.safetensors`) are model/quant.py's.
"""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from creuset.core.errors import ArtifactError
from creuset.model import quant
from creuset.model.formats.hf_config import config_of, to_hf
from creuset.model.formats.tensors import header, put, read, refuse_difference, write
from creuset.model.transformer import Transformer

FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def parts(model: Transformer) -> dict[str, Tensor]:
    """Views of all parameters under Hugging Face's names: stacked experts come apart."""
    found: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        value = parameter.detach()
        if name.endswith("experts.gate_up"):
            hidden = value.shape[1] // 2
            for expert, both in enumerate(value):
                found[name.replace("gate_up", f"{expert}.gate_proj.weight")] = both[:hidden]
                found[name.replace("gate_up", f"{expert}.up_proj.weight")] = both[hidden:]
        elif name.endswith("experts.down"):
            for expert, one in enumerate(value):
                found[f"{name.removesuffix('down')}{expert}.down_proj.weight"] = one
        else:
            found[name] = value
    return found


def load_model(folder: Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> Transformer:
    """The model in `folder`, in eval mode: ours (quantized or not) or Hugging Face's, of the four families.

    Raises ArtifactError naming the tensor that is missing, unexpected, of another shape, cut or not finite.
    """
    config = config_of(folder)
    with torch.device(device):
        model = Transformer(config).to(dtype)
    if (folder / quant.FILE).is_file():
        quant.load_into(model, folder / quant.FILE)
    else:
        _load_into(model, folder)
    return model.eval()


def _load_into(model: Transformer, folder: Path) -> None:
    wanted = parts(model)
    files = {name: file for file in _files(folder) for name in header(file)}
    if model.config.tie_embeddings and "lm_head.weight" in files:
        wanted["lm_head.weight"] = torch.empty_like(wanted["model.embed_tokens.weight"])
    refuse_difference(set(wanted), {name for name in files if not name.endswith("rotary_emb.inv_freq")}, folder)
    for file in sorted(set(files.values())):
        for name, tensor in read(file, [name for name in files if files[name] == file and name in wanted]):
            put(wanted[name], tensor, name, file)
    head = wanted.get("lm_head.weight")
    if model.config.tie_embeddings and head is not None and not torch.equal(head, wanted["model.embed_tokens.weight"]):
        raise ArtifactError(f"`{folder}`: tensor `lm_head.weight` differs from the embedding it is tied to")


def _files(folder: Path) -> list[Path]:
    """The one file, or the shards that the index names."""
    if not (folder / INDEX).is_file():
        if not (folder / FILE).is_file():
            raise ArtifactError(f"`{folder}` has no weights: neither {FILE}, {INDEX} nor {quant.FILE}")
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
    model: Transformer, folder: Path, *, dtype: Literal["bf16", "fp32"] = "bf16", shard_bytes: int = 5_000_000_000
) -> None:
    """config.json, generation_config.json and model.safetensors (or shards with an index), as Hugging Face has them."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(model, folder, dtype)
    shards: list[dict[str, Tensor]] = [{}]
    held = 0
    for name, value in parts(model).items():
        size = value.numel() * DTYPES[dtype].itemsize
        if shards[-1] and held + size > shard_bytes:
            shards.append({})
            held = 0
        held += size
        shards[-1][name] = value
    if len(shards) == 1:
        _write(shards[0], folder / FILE, dtype)
        return
    weight_map: dict[str, str] = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        _write(shard, folder / file, dtype)
        weight_map |= dict.fromkeys(shard, file)
    total = sum(v.numel() for v in parts(model).values()) * DTYPES[dtype].itemsize
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def write_config(model: Transformer, folder: Path, dtype: Literal["bf16", "fp32"]) -> None:
    write_json(folder / "config.json", to_hf(model.config, dtype=str(DTYPES[dtype]).removeprefix("torch.")))
    write_json(folder / "generation_config.json", {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20})


def write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _write(tensors: dict[str, Tensor], file: Path, dtype: str) -> None:
    # A copy each: safetensors refuses tensors that share memory, as slices of stacked experts do.
    own = {name: value.to("cpu", DTYPES[dtype], copy=True).contiguous() for name, value in tensors.items()}
    write(own, file, metadata={"format": "pt"})
