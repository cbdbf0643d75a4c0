"""Round the weights of a model to what ships: an artifact of its own, with the model's tokenizer and record."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from creuset.core.artifact import new_artifact, read_manifest
from creuset.core.errors import ConfigError
from creuset.model.formats.beside import copy_tokenizer
from creuset.model.quant import PLANS, quantize_folder

SAMPLING = {"temperature": float, "top_p": float, "top_k": int, "min_p": float, "repetition_penalty": float}


def ship(model: Path, out: Path, *, bits: Literal["q8", "q4"] = "q8", sampling: Sequence[str] = ()) -> Path:
    """Write the artifact `model` to `out` with 8-bit weights (`q4`: experts in 4 bits).

    `sampling`: `key=value` for generation_config.json, what a request that says nothing gets.
    Raises ConfigError when `model` is another kind of artifact, or for a sampling setting that does not exist.
    """
    manifest = read_manifest(model)
    if manifest["kind"] != "model":
        raise ConfigError(f"`{model}` is a {manifest['kind']}, not a model")
    facts = manifest["facts"] | {"bits": bits}
    with new_artifact(out, kind="model", settings=PLANS[bits], parents=[model], facts=facts) as scratch:
        quantize_folder(model, scratch, PLANS[bits])
        copy_tokenizer(model, scratch)
        for file in sorted(model.glob("*.json")):
            if file.name.startswith(("record", "generation_config")):
                shutil.copyfile(file, scratch / file.name)
        write_sampling(scratch / "generation_config.json", sampling)
    return out


def write_sampling(file: Path, assignments: Sequence[str]) -> None:
    """Put each `key=value` into the generation config, other keys kept."""
    if not assignments:
        return
    config = json.loads(file.read_text()) if file.is_file() else {}
    for text in assignments:
        key, _, raw = text.partition("=")
        if key not in SAMPLING:
            raise ConfigError(f"`{key}` is no sampling setting", hint=f"choose from {', '.join(SAMPLING)}")
        try:
            config[key] = SAMPLING[key](raw)
        except ValueError:
            raise ConfigError(f"`{text}` is refused: expected a number") from None
    file.write_text(json.dumps(config | {"do_sample": True}, indent=2) + "\n")
