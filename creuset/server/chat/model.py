"""What must be known of a model to check a request for it, whoever runs the model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class AskedModel(Protocol):
    @property
    def context(self) -> int: ...
    @property
    def defaults(self) -> Mapping[str, float]:
        """Sampling that the model was made for."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def variables(self) -> frozenset[str]:
        """Of the chat template: those that it reads."""

    @property
    def thinks(self) -> bool:
        """Whether its answers have a thought that can be told from the rest."""

    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class UnknownModel:
    """A model of another server: what cannot be known here is left to that one to refuse."""

    context: int
    defaults: Mapping[str, float] = field(default_factory=dict)
    vocab_size: int = 1 << 31
    variables: frozenset[str] = frozenset({"reasoning_effort"})
    thinks: bool = False

    def encode(self, text: str) -> list[int]:
        """Its tokens are not known, and the dialects that are translated never ask for any."""
        raise NotImplementedError(f"the tokens of a model of another server are not known: {len(text)} characters")
