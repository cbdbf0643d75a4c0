"""Which backend computes a model on this machine."""

from typing import Literal

from creuset.core.errors import ConfigError
from creuset.engine.backend.base import Runner
from creuset.engine.backend.native.assemble import unsupported
from creuset.engine.backend.native.library import NativeUnavailable, library
from creuset.engine.backend.native.runner import NativeRunner
from creuset.engine.backend.torch import runner as torch_runner
from creuset.engine.backend.torch.runner import Dtype
from creuset.model.formats.weights import ModelWeights, WeightSource

Backend = Literal["auto", "native", "torch"]


def choose(
    source: WeightSource,
    *,
    backend: Backend = "auto",
    dtype: Dtype = "auto",
    threads: int = 0,
    max_batch_tokens: int,
    device: str = "cpu",
) -> Runner:
    """A runner for this machine: the native core on a CPU where it was built and knows the family, else torch.

    With `backend` "native", ConfigError says why it cannot be had. A model in memory is computed in fp32 unless `dtype`
    says otherwise; its weights may be taken over.
    """
    reason: str | None = ""
    if backend != "torch":
        reason = f"the native core computes on the CPU only, not on {device}" if device != "cpu" else None
        reason = reason or unsupported(source.config)
        if reason is None:
            try:
                found = library()
            except NativeUnavailable as unavailable:
                reason = unavailable.reason
            else:
                exact = dtype == "auto" and isinstance(source, ModelWeights)
                return NativeRunner(source, dtype="fp32" if exact else dtype, threads=threads, found=found)
        if backend == "native":
            raise ConfigError(f"the backend `native` cannot be had: {reason}")
    else:
        reason = ""
    found_torch = torch_runner.choose(
        source, dtype=dtype, threads=threads, max_batch_tokens=max_batch_tokens, device=device
    )
    found_torch.not_native = reason or ""
    return found_torch
