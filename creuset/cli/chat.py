"""`creuset chat`: talk with a model in the terminal, by the engine that serves.

Each line is a turn; the conversation so far is the prompt, and the prefix cache makes that cheap. `/system TEXT`
sets the system prompt and starts anew, `/reset` starts anew, `/quit` (or the end of input) leaves. Ctrl-C stops the
answer, not the program. Answers go to stdout, everything else to stderr; with input from a pipe it works
for scripts, one line a turn. Exit codes: 0, and 3 when there is no such model.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from creuset.core.errors import CreusetError
from creuset.core.log import say
from creuset.engine.settings import EngineSettings
from creuset.model.hub import find_model, recommended_sampling
from creuset.types.generation import GenerationRequest, Sampling

if TYPE_CHECKING:
    pass

HELP = "/system TEXT, /reset, /quit; Ctrl-C stops an answer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="PATH|NAME", help="a folder, a GGUF file, or a name (`creuset list`)")
    parser.add_argument(
        "--chat-template", type=Path, metavar="FILE", help="a Jinja file in the place of the model's own template"
    )
    parser.add_argument("--system", metavar="TEXT", help="system prompt")
    parser.add_argument("--temperature", type=float, help="0: always the likeliest token (default: the model's own)")
    parser.add_argument("--top-p", type=float, help="default: the model's own")
    parser.add_argument("--top-k", type=int, help="default: the model's own")
    parser.add_argument("--max-tokens", type=int, default=512, help="of an answer (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="same seed, same answers")
    parser.add_argument("--threads", type=int, default=0, help="default: chosen for the model")
    parser.add_argument("--dtype", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--json", action="store_true", help="one JSON document a turn on stdout, nothing streamed")


def main(args: argparse.Namespace) -> int:
    path = find_model(args.model)
    say(f"loading {path.name}")
    chat = Chat(path, args)
    talking = sys.stdin.isatty()
    print(f"{path.name}: {chat.engine.context} tokens of context. {HELP}" if talking else "", end="\n" * talking,
          file=sys.stderr)  # fmt: skip
    for line in _lines(talking):
        word, _, rest = line.strip().partition(" ")
        if word == "/quit":
            break
        if word in ("/reset", "/system"):
            chat.restart(rest.strip() or None if word == "/system" else chat.system)
            print("(a new conversation)", file=sys.stderr)
        elif word.startswith("/") and word[1:].isalpha():
            print(f"`{word}` is not a command: {HELP}", file=sys.stderr)
        elif line.strip():
            try:
                chat.turn(line.strip(), as_json=args.json)
            except CreusetError as error:  # this turn is refused; the conversation goes on
                print(f"error: {error}", file=sys.stderr)
    chat.engine.check()
    return 0


class Chat:
    """One conversation: what was said, and the engine that answers."""

    def __init__(self, path: Path, args: argparse.Namespace) -> None:
        # Here, not at the top: `creuset --help` must not load torch.
        from creuset.engine.engine import Engine
        from creuset.text.template import ChatTemplate

        settings = EngineSettings(max_running=1, dtype=args.dtype, threads=args.threads)
        self.engine: Engine = Engine.load(path, settings=settings)
        self._template = ChatTemplate.load(path, self.engine.tokenizer, file=args.chat_template)
        self.system: str | None = args.system
        self._messages: list[dict[str, Any]] = []
        self._turns = 0
        self._max_tokens = args.max_tokens
        self._sampling = recommended_sampling(path)
        for name in ("temperature", "top_p", "top_k", "seed"):
            if getattr(args, name) is not None:
                self._sampling[name] = getattr(args, name)
        Sampling(max_tokens=args.max_tokens, **self._sampling)  # refused now, not at the first turn
        self.restart(args.system)

    def restart(self, system: str | None) -> None:
        self.system = system
        self._messages = [{"role": "system", "content": system}] if system else []

    def turn(self, text: str, *, as_json: bool) -> None:
        """Ask and print the answer. The turn is part of the conversation only if it was answered."""
        from creuset.engine.generate import stream

        messages = [*self._messages, {"role": "user", "content": text}]
        prompt, messages = self._prompt(messages)
        room = self.engine.context - len(prompt)
        self._turns += 1
        request = GenerationRequest(
            id=str(self._turns),
            prompt=prompt,
            # At least one: a prompt that leaves no room is refused by the engine, which says so better.
            sampling=Sampling(max_tokens=max(1, min(self._max_tokens, room)), **self._sampling),
        )
        start = time.perf_counter()
        said, first_s, last = "", None, None
        with _interruptible(lambda: self.engine.cancel(request.id)):
            for event in stream(self.engine, [request]):
                first_s = first_s or time.perf_counter() - start
                said += event.text
                last = event
                if not as_json:
                    print(event.text, end="", flush=True)
        assert last is not None and last.finish is not None
        took_s = time.perf_counter() - start
        self._messages = [*messages, {"role": "assistant", "content": said}]
        facts = {
            "finish": last.finish,
            "prompt_tokens": last.prompt_tokens,
            "cached_tokens": last.cached_tokens,
            "completion_tokens": last.completion_tokens,
            "first_token_s": round(first_s or took_s, 4),
            "seconds": round(took_s, 4),
        }
        print(json.dumps({"content": said, **facts}, ensure_ascii=False) if as_json else "", flush=True)
        after_s = took_s - (first_s or 0.0)
        rate = (last.completion_tokens - 1) / after_s if last.completion_tokens > 1 and after_s > 0 else 0.0
        note = "" if last.error is None else f", {last.error}"
        print(
            f"[{last.finish}{note}: {last.completion_tokens} tokens, {rate:.0f} tokens/s, first after "
            f"{facts['first_token_s']:.2f} s; prompt {last.prompt_tokens}, {last.cached_tokens} of it cached]",
            file=sys.stderr,
        )

    def _prompt(self, messages: list[dict[str, Any]]) -> tuple[list[int], list[dict[str, Any]]]:
        """Ids of the conversation; where it has grown too long for an answer, without its oldest exchanges."""
        head = messages[:1] if messages[0]["role"] == "system" else []
        rest = messages[len(head) :]
        dropped = 0
        while True:
            prompt = self._template.encode(head + rest, add_generation_prompt=True).ids
            if len(prompt) + min(self._max_tokens, self.engine.context // 4) <= self.engine.context or len(rest) == 1:
                break
            rest, dropped = rest[2:], dropped + 1
        if dropped:
            print(f"(the context is full: {dropped} oldest exchanges are forgotten)", file=sys.stderr)
        return prompt, head + rest


def _lines(talking: bool) -> Iterator[str]:
    if not talking:
        yield from sys.stdin
        return
    import readline  # noqa: F401  # gives `input` a history and editing

    while True:
        try:
            yield input("> ")
        except EOFError:
            return
        except KeyboardInterrupt:
            print("\n(/quit or Ctrl-D leaves)", file=sys.stderr)


@contextmanager
def _interruptible(stop: Any) -> Iterator[None]:
    """Ctrl-C calls `stop` instead of raising in the middle of a step."""

    def on_signal(signum: int, frame: FrameType | None) -> None:
        stop()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
