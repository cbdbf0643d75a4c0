"""Conversations for a model card: a fixed list of openings, each answered greedily, printed whole, none chosen."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from creuset.core.errors import ConfigError
from creuset.engine.engine import Engine
from creuset.engine.generate import generate
from creuset.engine.settings import EngineSettings
from creuset.text.template import ChatTemplate
from creuset.types.generation import GenerationRequest, Sampling
from creuset.types.messages import Conversation

PROMPTS = Path(__file__).with_suffix(".json")
MAX_TOKENS = 200


def openings(count: int) -> list[tuple[str, list[str]]]:
    """The first `count` of the list: language and the user's turns."""
    rows = json.loads(PROMPTS.read_text(encoding="utf-8"))
    if not 0 <= count <= len(rows):
        raise ConfigError(f"there are {len(rows)} openings, {count} were asked for")
    return [(row["language"], row["turns"]) for row in rows[:count]]


def converse(
    path: Path,
    asked: Sequence[tuple[str, Sequence[str]]],
    *,
    max_tokens: int = MAX_TOKENS,
    progress: Callable[[str], None] = lambda text: None,
) -> list[Conversation]:
    """Hold each conversation with the model at `path`: temperature 0, no system prompt, `max_tokens` a reply."""
    engine = Engine.load(path, settings=EngineSettings(seed=0))
    template = ChatTemplate.load(path, engine.tokenizer)
    said: list[list[tuple[str, str, str]]] = [[] for _ in asked]
    for turn in range(max((len(turns) for _, turns in asked), default=0)):
        going = [i for i, (_, turns) in enumerate(asked) if turn < len(turns)]
        requests = []
        for index in going:
            messages = [
                message
                for question, answer, _ in said[index]
                for message in ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
            ]
            messages.append({"role": "user", "content": asked[index][1][turn]})
            prompt = template.encode(messages, add_generation_prompt=True).ids
            room = engine.context - len(prompt)
            if room < 1:
                said[index].append((asked[index][1][turn], "", "no room left in the context"))
                continue
            sampling = Sampling(max_tokens=min(max_tokens, room), temperature=0.0, seed=0)
            requests.append(GenerationRequest(id=str(index), prompt=prompt, sampling=sampling))
        for request, reply in zip(requests, generate(engine, requests), strict=True):
            said[int(request.id)].append((asked[int(request.id)][1][turn], reply.text, reply.finish))
        progress(f"turn {turn + 1}: {len(going)} replies")
    return [Conversation(language, tuple(turns), max_tokens) for (language, _), turns in zip(asked, said, strict=True)]
