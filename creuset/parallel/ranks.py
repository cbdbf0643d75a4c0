"""Which of several processes this is; one process alone is rank 0 of 1."""

import os
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Sum `tensor` over all ranks, in place; a lone process gets it back unchanged."""
    if world() > 1:
        dist.all_reduce(tensor)
    return tensor


def barrier() -> None:
    if world() > 1:
        dist.barrier()


def from_lead(value: T) -> T:
    """What rank 0 holds, on every rank; for decisions that all must share. Values are pickled."""
    if world() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def join_world() -> None:
    """Join the world that `torchrun` announces in the environment; do nothing when there is none."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
