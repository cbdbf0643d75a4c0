"""The embedding of a text: its tokens' hidden states behind the last layer and the final norm as one row, 1 long."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray


class PooledRow:
    """Is told the hidden states of a prompt piece by piece. For the mean they are summed one after the other in fp64,
    so that the row does not depend on where the prompt was cut. `last` and `first` take the state of one token."""

    def __init__(self, mode: Literal["mean", "last", "first"] = "mean") -> None:
        self.mode = mode
        self.count = 0  # tokens that were read
        self._sum_C: NDArray[np.float64] | None = None

    def read(self, hidden_RC: NDArray[np.float32], first: int) -> None:
        """States of the tokens from position `first` on. Those that were read before (a request that gave its blocks
        back is computed anew) are passed over."""
        assert first <= self.count, f"tokens {self.count} to {first - 1} were not read"
        new_RC = hidden_RC[self.count - first :]
        if self._sum_C is None:
            self._sum_C = np.zeros(hidden_RC.shape[1], dtype=np.float64)
        if self.mode == "mean":
            for hidden_C in new_RC:
                self._sum_C += hidden_C
        elif len(new_RC) and self.mode == "last":
            self._sum_C[:] = new_RC[-1]
        elif len(new_RC) and not self.count:
            self._sum_C[:] = new_RC[0]
        self.count += len(new_RC)

    def unit(self) -> bytes:
        """fp32, little end first. ValueError where the model's numbers have no direction: not finite, or all zero."""
        assert self._sum_C is not None, "nothing was read"
        length = float(np.sqrt(self._sum_C @ self._sum_C))
        if not 0 < length < np.inf:
            raise ValueError(f"the hidden states of this text have a sum of length {length}: it has no embedding")
        return (self._sum_C / length).astype("<f4").tobytes()
