"""Who owns which block of the key-value cache.

The pool hands out block numbers and counts their readers; it never sees a tensor. The runner
owns the memory, the scheduler asks for blocks, the prefix cache is one reader among others. So
the whole policy is tested in a millisecond, and `check` can say at any moment that nothing leaked.
"""

from collections import Counter
from collections.abc import Iterable


class BlockPool:
    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks
        self._free: dict[int, None] = dict.fromkeys(range(num_blocks))  # a set that keeps its order
        self._readers: Counter[int] = Counter()
        self._kept: set[int] = set()  # blocks that the prefix cache reads
        self.idle = 0  # of these, those that nobody else reads: they can be had when they are needed

    @property
    def free(self) -> int:
        return len(self._free)

    def readers(self, block: int) -> int:
        return self._readers[block]

    def take(self, count: int, *, after: int | None = None) -> list[int] | None:
        """Return `count` blocks, or None when there are too few: then nothing is taken.

        They follow `after` where that is free: neighbours are read without copying.
        """
        if count > self.free:
            return None
        blocks: list[int] = []
        for _ in range(count):
            block = None if after is None else after + 1
            if block is None or block not in self._free:
                block = next(iter(self._free))
            del self._free[block]
            blocks.append(block)
            after = block
        self._readers.update(blocks)
        return blocks

    def share(self, blocks: Iterable[int]) -> None:
        """Add a reader to blocks that someone already holds."""
        for block in blocks:
            assert self._readers[block] > 0, f"block {block} is shared but nobody holds it"
            self._readers[block] += 1
            self.idle -= self._readers[block] == 2 and block in self._kept

    def keep(self, block: int) -> None:
        """The prefix cache becomes a reader of `block`, which someone holds."""
        self.share([block])
        self._kept.add(block)

    def let_go(self, block: int) -> None:
        """The prefix cache is no reader of `block` any more."""
        self._kept.remove(block)
        self.idle -= self._readers[block] == 1
        self.release([block])

    def release(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            assert self._readers[block] > 0, f"block {block} is released but nobody holds it"
            self._readers[block] -= 1
            self.idle += self._readers[block] == 1 and block in self._kept
            if not self._readers[block]:
                del self._readers[block]
                self._free[block] = None

    def check(self, holders: Iterable[Iterable[int]] | None = None) -> None:
        """Free + held = all; and, given the lists of all holders, each block has exactly its readers."""
        held = {block for block, readers in self._readers.items() if readers > 0}
        assert not held & set(self._free), f"blocks {sorted(held & set(self._free))} are both free and held"
        assert held | set(self._free) == set(range(self.num_blocks)), "some block is neither free nor held"
        assert self.idle == sum(self._readers[block] == 1 for block in self._kept), "idle blocks are counted wrong"
        if holders is not None:
            counted = Counter(block for blocks in holders for block in blocks)
            assert counted == +self._readers, f"readers {+self._readers} but holders {counted}"
