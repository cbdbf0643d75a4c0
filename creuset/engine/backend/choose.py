"""Which backend computes a model on this machine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from creuset.core.errors import ArtifactError, ConfigError
from creuset.core.native.library import Library, NativeUnavailable, level_asked_for, library
from creuset.engine.backend.base import Runner
from creuset.engine.backend.native.assemble import adaptable, unsupported
from creuset.engine.backend.native.runner import NativeRunner
from creuset.model.config import ModelConfig
from creuset.model.formats.adapter import modules_of
from creuset.model.formats.weights import ModelWeights

if TYPE_CHECKING:
    from creuset.model.formats.weights import WeightSource

Backend = Literal["auto", "native", "torch"]
Dtype = Literal["auto", "fp32", "bf16"]


def choose(
    source: "WeightSource",
    *,
    backend: Backend = "auto",
    dtype: Dtype = "auto",
    threads: int = 0,
    max_batch_tokens: int,
    device: str = "cpu",
    quant: str = "",
) -> Runner:
    """A runner for this machine: the native core on a CPU where it was built and knows the family, else torch.

    With `backend` "native", ConfigError says why it cannot be had; with any, that `CREUSET_ISA` names no level. A model
    in memory is computed in fp32 unless `dtype` says otherwise; its weights may be taken over. `quant`: q8
    or q4, to which the native core rounds weights that are plain numbers.
    """
    level_asked_for()
    reason = ""
    if backend != "torch":
        found = _native(source.config, backend, device)
        if isinstance(found, Library):
            exact = dtype == "auto" and isinstance(source, ModelWeights)
            return NativeRunner(
                source, dtype="fp32" if exact and not quant else dtype, threads=threads, found=found, quant=quant
            )
        if backend == "native":
            raise ConfigError(f"the backend `native` cannot be had: {found}")
        reason = found
    if quant:
        raise ConfigError(f"weights are rounded to {quant} by the native core only{f': {reason}' if reason else ''}")
    from creuset.engine.backend.torch import runner as torch_runner  # only here: it takes a second to import

    runner = torch_runner.choose(source, dtype=dtype, threads=threads, max_batch_tokens=max_batch_tokens, device=device)
    runner.not_native = reason
    return runner


def adapts(config: ModelConfig, folder: Path) -> bool:
    """Whether the backend of this machine computes the adapter in `folder` beside others (`Runner.adapt`)."""
    if not isinstance(_native(config, "auto", "cpu"), Library):
        return False
    try:
        return all(adaptable(config, module) for module in modules_of(folder))
    except (ArtifactError, OSError):
        return False  # who adds it to the weights says what is wrong with it


def _native(config: ModelConfig, backend: Backend, device: str) -> Library | str:
    """The native core, or why it does not compute such a model here."""
    if device != "cpu":
        return f"the native core computes on the CPU only, not on {device}"
    if (reason := unsupported(config)) is not None:
        return reason
    try:
        found = library()
    except NativeUnavailable as unavailable:
        return unavailable.reason
    if backend == "auto" and found.isa == "scalar" and not os.environ.get("CREUSET_ISA"):
        return "this processor has none of the instructions that the native core is fast with"
    return found
