"""Do answers of a model that babbles fit their schemas? The shipped model at temperature 1.5 over many public schemas.

    python validation/structured_answers.py FOLDER --count 300
    python validation/structured_answers.py FOLDER --model PATH --temperature 2 --tokens 800

FOLDER: JSON files that hold `{"schema": ..., "tests": [{"data": ..., "valid": ...}]}`, as in the folder
`maskbench/data` of https://github.com/guidance-ai/jsonschemabench; or the lines of `tests/golden/json_schema_suite`
when it is left out. Every answer that ends by itself must parse and be valid by the library `jsonschema`. What comes
with a schema is checked too: no value that it refuses may be accepted by the grammar. Exit code 1 where one is.
"""

import argparse
import json
import random
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema

from creuset.core.errors import RequestError
from creuset.engine.answer.grammar import Grammars
from creuset.engine.engine import Engine
from creuset.engine.generate import generate
from creuset.engine.settings import EngineSettings
from creuset.text import grammar
from creuset.types.generation import GenerationRequest, Sampling

TREE = Path(__file__).parent.parent
SUITE = TREE / "tests" / "golden" / "json_schema_suite" / "draft2020-12.jsonl"
Group = tuple[str, Any, list[Any]]  # where it is from, the schema, values that it refuses


def groups(folder: Path | None, count: int, seed: int) -> Iterator[Group]:
    if folder is None:
        for line in SUITE.read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            yield f"{one['file']}: {one['about']}", one["schema"], one["invalid"]
        return
    files = sorted(folder.rglob("*.json"))
    random.Random(seed).shuffle(files)
    for file in files[:count]:
        try:
            one = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            continue  # cut off while it was fetched
        yield file.name, one["schema"], [test["data"] for test in one.get("tests", ()) if not test["valid"]]


def accepts(grammars: Grammars, text: str, tokens: list[int]) -> bool:
    matcher = grammars.compile(text).result().deep_copy()
    return bool(matcher.try_consume_tokens(tokens) == len(tokens) and (matcher.is_accepting() or matcher.is_stopped()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=TREE / "creuset" / "models" / "mini")
    parser.add_argument("--temperature", type=float, default=1.5)
    parser.add_argument("--tokens", type=int, default=400, help="an answer has at most")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    engine = Engine.load(args.model, settings=EngineSettings(seed=args.seed))
    grammars = Grammars(engine.tokenizer, end_ids=engine.end_ids, vocab_size=engine.tokenizer.vocab_size)
    prompt = engine.tokenizer.encode("Answer in JSON.\n")
    refused: Counter[str] = Counter()
    wrong: list[str] = []
    asked: dict[str, Any] = {}
    requests = []
    rejected = 0
    for name, schema, invalid in groups(args.folder, args.count, args.seed):
        try:
            text = grammar.json_schema(schema)
        except RequestError as error:
            refused[str(error.param).rpartition(".")[2]] += 1
            continue
        for value in invalid:
            rejected += 1
            if accepts(grammars, text, engine.tokenizer.encode(json.dumps(value, ensure_ascii=False))):
                wrong.append(f"{name}: the grammar accepts {json.dumps(value)[:100]}")
        asked[str(len(requests))] = (name, schema)
        sampling = Sampling(max_tokens=args.tokens, temperature=args.temperature, seed=len(requests))
        requests.append(GenerationRequest(id=str(len(requests)), prompt=prompt, sampling=sampling, grammar=text))
    ended: Counter[str] = Counter()
    for request, answer in zip(requests, generate(engine, requests), strict=True):
        name, schema = asked[request.id]
        ended[answer.finish] += 1
        if answer.finish == "error":
            wrong.append(f"{name}: {answer.error}")
        if answer.finish != "stop":
            continue
        try:
            jsonschema.validators.validator_for(schema)(schema).validate(json.loads(answer.text))
        except re.error:
            ended["a pattern that Python cannot read"] += 1
        except (ValueError, jsonschema.ValidationError) as error:
            wrong.append(f"{name}: {answer.text[:200]!r}: {str(error).splitlines()[0]}")
    print("\n".join(wrong))
    print(f"{len(requests)} schemas enforced, {refused.total()} refused: {dict(refused)}")
    print(f"{rejected} values that a schema refuses; answers ended by {dict(ended)}; {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
