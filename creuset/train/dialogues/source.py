"""Dialogues as a batch source: the training loop is the one of pre-training.

A row holds whole dialogues, first-fit in shuffled order, each its own sequence; what is left of the row is
padding without weight. Only the assistant's tokens, through <|im_end|>, are trained on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from creuset.core.errors import DataError
from creuset.data.shards.batches import Batch, PackedRow, PretrainSource, pack, share

Dialogue = tuple[np.ndarray, np.ndarray]  # token ids (n,), training mask (n,)
DIALOGUES = "dialogues"  # their name among the sources that a run read


def fill_rows(lengths: Sequence[int], order: Sequence[int], context: int) -> list[list[int]]:
    """Put dialogues into rows of `context` tokens, in `order`, each into the first open row with room."""
    done: list[list[int]] = []
    open_rows: list[tuple[int, list[int]]] = []
    for index in order:
        need = lengths[index]
        for place, (used, members) in enumerate(open_rows):
            if used + need <= context:
                members.append(index)
                open_rows[place] = (used + need, members)
                break
        else:
            open_rows.append((need, [index]))
        # Few rows stay open, the fullest is closed first: the order stays a shuffle and the search short.
        if len(open_rows) > 16:
            fullest = max(range(len(open_rows)), key=lambda i: open_rows[i][0])
            done.append(open_rows.pop(fullest)[1])
    return done + [members for _, members in open_rows]


class DialogueSource:
    """Endless rows of dialogues, reshuffled each epoch; the cursor is (epoch, row)."""

    def __init__(self, dialogues: Sequence[Dialogue], *, context: int, seed: int, pad: int) -> None:
        kept = [(ids, mask) for ids, mask in dialogues if 2 <= len(ids) <= context + 1 and mask[1:].any()]
        if not kept:
            raise DataError(f"none of {len(dialogues)} dialogues fits in {context} tokens with something to train on")
        self.left_out = len(dialogues) - len(kept)
        self.dialogues, self.context, self.seed, self.pad = kept, context, seed, pad
        self.epoch, self.place = 0, 0
        self.rows = self._arrange(0)
        self.taken = 0  # rows, of all epochs

    def _arrange(self, epoch: int) -> list[list[int]]:
        lengths = [len(ids) - 1 for ids, _ in self.dialogues]
        order = np.random.default_rng([self.seed, epoch]).permutation(len(lengths)).tolist()
        return fill_rows(lengths, order, self.context)

    def step(self, *, tokens: int, micro: int, rank: int, world: int) -> list[Batch]:
        rows = [self.next_row() for _ in range(tokens // self.context)]
        return [pack(part) for part in share(rows, rank=rank, world=world, per_micro=micro // self.context)]

    def next_row(self) -> PackedRow:
        if self.place == len(self.rows):
            self.epoch, self.place = self.epoch + 1, 0
            self.rows = self._arrange(self.epoch)
        members = self.rows[self.place]
        self.place += 1
        self.taken += 1
        return self._row(members)

    def _row(self, members: Sequence[int]) -> PackedRow:
        inputs = np.full(self.context, self.pad, dtype=np.int64)
        targets = np.full(self.context, self.pad, dtype=np.int64)
        weights = np.zeros(self.context, dtype=np.float32)
        starts, at = [], 0
        for index in members:
            ids, mask = self.dialogues[index]
            n = len(ids) - 1
            starts.append(at)
            inputs[at : at + n], targets[at : at + n], weights[at : at + n] = ids[:-1], ids[1:], mask[1:]
            at += n
        if at < self.context:
            starts.append(at)
        return PackedRow(inputs, targets, weights, np.asarray(starts))

    def cursor(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "place": self.place}

    def seek(self, cursor: Mapping[str, Any]) -> None:
        self.epoch, self.place = int(cursor["epoch"]), int(cursor["place"])
        self.rows = self._arrange(self.epoch)
        self.taken = sum(len(self._arrange(epoch)) for epoch in range(self.epoch)) + self.place

    def read(self) -> dict[str, int]:
        return {DIALOGUES: self.taken * self.context} if self.taken else {}


class Blend:
    """Rows of dialogues with a share of pre-training rows among them; the cursor is those of both, and rows taken."""

    def __init__(self, dialogues: DialogueSource, prose: PretrainSource, *, share_of_prose: float) -> None:
        self.dialogues, self.prose, self.share = dialogues, prose, share_of_prose
        self.context, self.taken = dialogues.context, 0

    def step(self, *, tokens: int, micro: int, rank: int, world: int) -> list[Batch]:
        rows = [self._next() for _ in range(tokens // self.context)]
        return [pack(part) for part in share(rows, rank=rank, world=world, per_micro=micro // self.context)]

    def _next(self) -> PackedRow:
        self.taken += 1
        due = int(self.taken * self.share) > int((self.taken - 1) * self.share)
        return self.prose.next_row() if due else self.dialogues.next_row()

    def cursor(self) -> dict[str, Any]:
        return {"taken": self.taken, "dialogues": self.dialogues.cursor(), "prose": self.prose.cursor()}

    def seek(self, cursor: Mapping[str, Any]) -> None:
        self.taken = int(cursor["taken"])
        self.dialogues.seek(cursor["dialogues"])
        self.prose.seek(cursor["prose"])

    def read(self) -> dict[str, int]:
        return self.dialogues.read() | self.prose.read()
