"""Folders whose weights cannot be read here, and the way out of each. No torch here."""

import json
from pathlib import Path

from creuset.core.errors import ArtifactError

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model.q.safetensors")
ADAPTER = "adapter_config.json"
MERGE = (
    'python -c "from peft import AutoPeftModelForCausalLM as M; '
    "M.from_pretrained('{folder}').merge_and_unload().save_pretrained('{folder}-merged')\""
)
CONVERT = (
    'python -c "import glob, torch; from safetensors.torch import save_file as save; '
    "save({{k: v.contiguous().clone() for f in sorted(glob.glob('{folder}/pytorch_model*.bin')) "
    "for k, v in torch.load(f, weights_only=True).items()}}, '{folder}/model.safetensors', {{'format': 'pt'}})\""
)


def refuse_adapter(folder: Path) -> None:
    """An adapter is a difference to a model that is elsewhere."""
    if not (file := folder / ADAPTER).is_file():
        return
    try:
        base = json.loads(file.read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError):
        base = None
    of = f" of `{base}`" if base else ""
    raise ArtifactError(
        f"`{folder}` is an adapter{of} ({ADAPTER}), not a whole model",
        hint=f"add it to its model once, and give the merged folder: {MERGE.format(folder=folder)}",
    )


def refuse_without_weights(folder: Path) -> None:
    """A folder of which no file holds weights that are read here."""
    if any((folder / name).is_file() for name in WEIGHTS):
        return
    refuse_torch_files(folder)
    refuse_adapter(folder)
    raise ArtifactError(f"`{folder}` has no weights: neither {WEIGHTS[0]}, {WEIGHTS[1]} nor {WEIGHTS[2]}")


def refuse_torch_files(folder: Path) -> None:
    """Torch's own files are programs: reading one can run what it holds."""
    found = sorted(file.name for kind in ("*.bin", "*.pth", "*.pt") for file in folder.glob(kind))
    weights = [name for name in found if name.startswith("pytorch_model")]
    if weights:
        raise ArtifactError(
            f"`{folder}` has its weights in torch's format (`{weights[0]}`), which is not read: it can hold a program",
            hint=f"convert it once: {CONVERT.format(folder=folder)}",
        )
    if pth := [name for name in found if name.startswith("consolidated")]:
        raise ArtifactError(
            f"`{folder}` has its weights as its makers train them (`{pth[0]}`), under names that are not read",
            hint="take the model's folder in Hugging Face's layout, with model.safetensors, or a GGUF file of it",
        )
