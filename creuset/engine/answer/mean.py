"""The embedding of a text: the mean of its tokens' hidden states behind the last layer and the final norm, 1 long.

Shapes: R rows    C model width
"""

import numpy as np
from numpy.typing import NDArray


class MeanHidden:
    """Is told the hidden states of a prompt piece by piece. They are summed one after the other in fp64, so that the
    mean does not depend on where the prompt was cut."""

    def __init__(self) -> None:
        self.count = 0  # tokens that are in the sum
        self._sum_C: NDArray[np.float64] | None = None

    def read(self, hidden_RC: NDArray[np.float32], first: int) -> None:
        """States of the tokens from position `first` on. Those that were read before (a request that gave its blocks
        back is computed anew) are passed over."""
        assert first <= self.count, f"tokens {self.count} to {first - 1} were not read"
        if self._sum_C is None:
            self._sum_C = np.zeros(hidden_RC.shape[1], dtype=np.float64)
        for hidden_C in hidden_RC[self.count - first :]:
            self._sum_C += hidden_C
            self.count += 1

    def unit(self) -> bytes:
        """fp32, little end first. ValueError where the model's numbers have no direction: not finite, or all zero."""
        assert self._sum_C is not None, "nothing was read"
        length = float(np.sqrt(self._sum_C @ self._sum_C))
        if not 0 < length < np.inf:
            raise ValueError(f"the hidden states of this text have a sum of length {length}: it has no embedding")
        return (self._sum_C / length).astype("<f4").tobytes()
