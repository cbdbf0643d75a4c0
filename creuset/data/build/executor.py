"""datatrove's local executor without its manager process and its messages: a killed build leaves no process behind.

The stock executor starts a manager process for a queue of local ranks, which outlives a
killed parent, and so do its pool's workers. Here one worker runs in this process, and
several end themselves when the process that started them is gone.
"""

import multiprocessing
import os
import threading
import time
from copy import deepcopy
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.utils.stats import PipelineStats
from loguru import logger


class Executor(LocalPipelineExecutor):  # type: ignore[misc]
    """Runs every rank that has no completion mark, `workers` at a time."""

    def run(self) -> Any:
        logger.disable("datatrove")
        ranks = self.get_incomplete_ranks()
        if not ranks:
            return PipelineStats()
        self.save_executor_as_json()
        if self.workers == 1:
            done = [self.run_rank(rank) for rank in ranks]
        else:
            context = multiprocessing.get_context("spawn")
            with context.Pool(min(self.workers, len(ranks)), initializer=_end_with, initargs=(os.getpid(),)) as pool:
                done = list(pool.imap_unordered(self.run_rank, ranks))
        return sum(done, start=PipelineStats())

    def run_rank(self, rank: int) -> Any:
        """One rank on its own copy of the steps: what they gather does not leak into the next."""
        logger.disable("datatrove")
        pipeline: list[Any] = self.__dict__["pipeline"]
        self.pipeline = deepcopy(pipeline)
        try:
            return self._run_for_rank(rank)
        finally:
            self.pipeline = pipeline


def _end_with(parent: int) -> None:
    """End this worker when its parent does, at most half a second later."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
