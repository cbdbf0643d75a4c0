"""A server for programs of others: a script in the place of a model, with a context that holds any of their prompts.

    python validation/conformance/server.py --script PORT FOLDER
    python validation/conformance/server.py --model FILE PORT FOLDER

The script says "Hello from the script." to everything, calls the first tool that it may or must call, and fills a form.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from creuset.model.formats.hf_config import to_hf
from creuset.server.log import new_log
from creuset.server.model import describe
from creuset.server.run import serve, worker_command
from creuset.server.settings import ServeSettings
from creuset.testing import ScriptedEngine, tiny_config, tiny_tokenizer

# The first is its own; the others are asked for by programs and tests that cannot be told another.
NAMES = [
    "scripted",
    "gpt-4o-mini",
    "gpt-4.1",
    "test",
    "dummy",
    "Qwen/Qwen3-8B",
    "Qwen/Qwen3-0.6B",
    "Qwen/Qwen3-1.7B",
    "claude-3-7-sonnet-latest",
    "text-embedding-3-small",
    "intfloat/multilingual-e5-small",
]
WINDOW = 100_000


class Program(ScriptedEngine):
    """Calls a tool while the prompt offers one and holds no result yet; else it greets, or counts where asked to."""

    def add(self, request: Any) -> None:
        text = self._tokenizer.decode(request.prompt)
        asked = text.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        answered = "<tool_response>" in text.rpartition("<|im_start|>assistant")[0].rpartition("<|im_start|>user\n")[2]
        if request.embeds:
            super().add(request)
            return
        said = "Hello from the script, which counts: 1, 2, 3."
        if "<tools>\n" in text and not answered:
            said = self._call(text)
        elif request.grammar is not None:
            said = self._form(request.grammar)
        elif asked.partition(" ")[0] in ("say", "slowly", "wait", "fail"):
            super().add(request)
            return
        super().add(_Replaced(request, self._tokenizer.encode(f"<|im_start|>user\nsay {said}<|im_end|>")))

    def _call(self, text: str) -> str:
        """A call of the first tool, with a value of the right kind for each parameter that it must have."""
        for line in text.partition("<tools>\n")[2].partition("</tools>")[0].splitlines():
            if not line.strip().startswith("{"):
                continue
            tool = json.loads(line)
            function = tool.get("function", tool)
            call = {"name": function["name"], "arguments": sample(function.get("parameters") or {})}
            return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"
        return "There is no tool."

    def _form(self, grammar: str) -> str:
        """What the schema within the grammar asks for."""
        for found in re.finditer(r"%json\s*", grammar):
            try:
                schema, _ = json.JSONDecoder().raw_decode(grammar[found.end() :])
            except ValueError:
                continue
            return json.dumps(sample(schema))
        return "{}"


def sample(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """A value that a schema takes; enough of JSON Schema for the programs here."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > 8:
        return {}
    if ref := schema.get("$ref"):
        node = root
        for name in ref.removeprefix("#/").split("/"):
            node = node[name]
        return sample(node, root, depth + 1)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return sample(schema[key][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: sample(one, root, depth + 1) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {}), root, depth + 1)] * max(1, schema.get("minItems", 1))
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    return {"integer": int(low) + 1, "number": float(low) + 1, "boolean": True, "null": None}.get(kind, "Paris")


class _Replaced:
    """A request with another prompt, for the script to read; all else is the request's, but for its end of tokens."""

    def __init__(self, request: Any, prompt: list[int]) -> None:
        self._request, self.prompt = request, prompt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._request, name)


def worker(fd: int) -> None:
    from creuset.server.engines.worker import child, listen, run

    link = child(fd)
    run(Program(tiny_tokenizer()), link, listen(link), {"window": WINDOW})


def folder_of(path: Path) -> Path:
    """A model without weights."""
    path.mkdir(parents=True, exist_ok=True)
    tiny_tokenizer().save(path)
    (path / "config.json").write_text(json.dumps(to_hf(tiny_config(context=WINDOW))))
    return path


def run_server(port: int, folder: Path, model: Path | None) -> None:
    log = new_log("error", sys.stderr)
    if model is None:
        models = [(describe(folder_of(folder / "model"), NAMES), [sys.executable, __file__, "--worker", "{fd}"])]
    else:
        settings = json.dumps({"seed": 1, "threads": 1, "kv_tokens": 8192})
        models = [(describe(model, NAMES), worker_command(model, settings))]
    asyncio.run(serve(models, ServeSettings(port=port, max_queue=256), log=log))


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(int(sys.argv[2]))
    else:
        given = Path(sys.argv[2]) if sys.argv[1] == "--model" else None
        port, place = sys.argv[-2], Path(sys.argv[-1])
        run_server(int(port), place, given)
