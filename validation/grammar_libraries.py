"""Two libraries that enforce JSON Schemas, on the schemas and values of the JSON Schema Test Suite.

    python validation/grammar_libraries.py
    PYTHONPATH=.:FOLDER_WITH_XGRAMMAR python validation/grammar_libraries.py --model PATH

For each library: schemas that it takes, values that it accepts though their schema refuses them, and times to compile
and to compute one mask. `ours` is llguidance behind the reader of this package. xgrammar is measured where it is
installed (docs/adr has why it is not used).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from creuset.core.errors import RequestError
from creuset.engine.answer.grammar import Grammars
from creuset.model.hub import end_ids
from creuset.text import grammar
from creuset.text.tokenizer import Tokenizer

TREE = Path(__file__).parent.parent
SUITE = TREE / "tests" / "golden" / "json_schema_suite" / "draft2020-12.jsonl"
Accepts = Callable[[list[int]], tuple[bool, list[float]]]  # whether a whole text fits; seconds of each mask
Compile = Callable[[Any], Accepts | None]


def through_llguidance(grammars: Grammars, write: Callable[[Any], str]) -> Compile:
    def compile(schema: Any) -> Accepts | None:
        try:
            compiled = grammars.compile(write(schema)).result()
        except RequestError:
            return None

        def accepts(ids: list[int]) -> tuple[bool, list[float]]:
            matcher, times = compiled.deep_copy(), []
            for id in ids:
                start = time.perf_counter()
                matcher.compute_bitmask()
                times.append(time.perf_counter() - start)
                if matcher.try_consume_tokens([id]) != 1:
                    return False, times
            return bool(matcher.is_accepting() or matcher.is_stopped()), times

        return accepts

    return compile


def through_xgrammar(tokenizer: Tokenizer, ends: list[int]) -> Compile:
    import xgrammar

    vocabulary = [tokenizer.token_bytes(id) for id in range(tokenizer.vocab_size)]
    compiler = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo(vocabulary, stop_token_ids=ends), max_threads=1)

    def compile(schema: Any) -> Accepts | None:
        try:
            compiled = compiler.compile_json_schema(json.dumps(schema), strict_mode=False)
        except Exception:
            return None
        bits = xgrammar.allocate_token_bitmask(1, tokenizer.vocab_size)

        def accepts(ids: list[int]) -> tuple[bool, list[float]]:
            matcher, times = xgrammar.GrammarMatcher(compiled), []
            for id in ids:
                start = time.perf_counter()
                matcher.fill_next_token_bitmask(bits)
                times.append(time.perf_counter() - start)
                if not matcher.accept_token(id):
                    return False, times
            return bool(matcher.accept_token(ends[0])), times

        return accepts

    return compile


def measured(compile: Compile, tokenizer: Tokenizer) -> str:
    taken = wrong = right = 0
    times: list[float] = []
    masks: list[float] = []
    for line in SUITE.read_text(encoding="utf-8").splitlines():
        group = json.loads(line)
        start = time.perf_counter()
        accepts = compile(group["schema"])
        times.append(time.perf_counter() - start)
        if accepts is None:
            continue
        taken += 1
        for kind in ("valid", "invalid"):
            for value in group[kind]:
                fits, spent = accepts(tokenizer.encode(json.dumps(value, ensure_ascii=False)))
                masks += spent
                wrong, right = wrong + (fits and kind == "invalid"), right + (fits and kind == "valid")
    compiled = f"compiles in {statistics.median(times) * 1e3:.2f} ms (worst {max(times) * 1e3:.0f})"
    mask = f"a mask in {statistics.median(masks) * 1e6:.0f} us (worst {max(masks) * 1e6:.0f})"
    return f"takes {taken} schemas, accepts {right} values that fit and {wrong} that do not; {compiled}, {mask}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, default=TREE / "creuset" / "models" / "mini")
    args = parser.parse_args()
    tokenizer = Tokenizer.load(args.model)
    ends = sorted(end_ids(args.model) | tokenizer.end_ids)
    grammars = Grammars(tokenizer, end_ids=ends, vocab_size=tokenizer.vocab_size)
    grammars.compile("start: /a/").result()  # builds the vocabulary
    found = {
        "ours": through_llguidance(grammars, grammar.json_schema),
        "llguidance": through_llguidance(grammars, lambda schema: f"start: %json {json.dumps(schema)}"),
    }
    try:
        found["xgrammar"] = through_xgrammar(tokenizer, ends)
    except ImportError as missing:
        print(f"xgrammar is not installed ({missing})")
    print(f"{tokenizer.vocab_size} tokens")
    for name, compile in found.items():
        print(f"{name}: {measured(compile, tokenizer)}")


if __name__ == "__main__":
    main()
