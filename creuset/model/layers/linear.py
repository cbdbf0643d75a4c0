"""torch's layers without their initialisation: weights are drawn by `Transformer.init_weights`, or loaded."""

from torch import nn


class Linear(nn.Linear):
    def reset_parameters(self) -> None:
        pass


class Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        pass
