"""A model's Jinja template, run in jinja2's sandbox with the helpers that transformers gives to templates.

A template comes with a model, from people we do not know. The sandbox keeps it from Python's inside; this module
keeps it from running for ever and from filling the memory. Each turn of a loop and each call is counted, strings and
lists may not grow beyond a limit that follows the size of the conversation, and the whole has a few seconds
(docs/adr/0015). The count is the same on every machine; the seconds are the last resort.

Reading order: `JinjaTemplate.render`, `_Sandbox`, `_Budget`.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from jinja2 import Environment, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from creuset.core.errors import ArtifactError, RequestError

STEPS = 2_000_000  # a turn of a loop is one, a call twenty
CALL = 20
SECONDS = 10.0
CHARS = 1 << 20  # of one string, beyond what the conversation brings
GROWTH = 8  # times the conversation's own size
_WIDE = re.compile(r"\d{4}")  # a width in a format string


class JinjaTemplate:
    def __init__(
        self,
        source: str,
        *,
        where: str = "the chat template",
        now: Callable[[], datetime] = datetime.now,
        clock: Callable[[], float] = time.monotonic,
        spans: tuple[str, str] = ("", ""),
    ) -> None:
        """`spans`: what is written before and after a `{% generation %}` block. ArtifactError for a syntax error."""
        self._where = where
        self._clock = clock
        self._sandbox = _Sandbox(now, spans)
        try:
            self._template = self._sandbox.from_string(source)
            self.variables = frozenset(meta.find_undeclared_variables(self._sandbox.parse(source)))
        except TemplateSyntaxError as error:
            raise ArtifactError(f"{where}: line {error.lineno}: {error.message}") from error
        except (TemplateError, RecursionError, ValueError) as error:
            raise ArtifactError(f"{where}: {error}") from error

    def render(self, variables: Mapping[str, Any], *, size: int) -> str:
        """The text. `size`: characters of the conversation, tools and all.

        RequestError quotes the template where it refuses, and says what happened where it fails.
        """
        budget = _Budget(limit=CHARS + GROWTH * size, until=self._clock() + SECONDS, clock=self._clock)
        self._sandbox.spent.budget = budget
        try:
            return str(self._template.render(**variables))
        except _Refusal as error:
            raise RequestError(f"{self._where} refuses this conversation: {error}", param="messages") from error
        except _Unbounded as error:
            raise RequestError(f"{self._where} {error}: it is stopped", param="messages") from error
        except SecurityError as error:
            raise RequestError(f"{self._where} does what a template may not: {error}", param="messages") from error
        except RecursionError as error:
            raise RequestError(f"{self._where} calls itself without end", param="messages") from error
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise RequestError(f"{self._where} cannot show this conversation: {error}", param="messages") from error
        finally:
            del self._sandbox.spent.budget


class _Refusal(TemplateError):
    """The template called `raise_exception`."""


class _Unbounded(Exception):
    """The template ran too long or wrote too much."""


class _Budget:
    def __init__(self, limit: int, until: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._left, self._until, self._clock = STEPS, until, clock

    def step(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise _Unbounded(f"takes more than {STEPS:,} steps")
        if self._left % 1000 < steps and self._clock() > self._until:
            raise _Unbounded(f"takes more than {SECONDS:.0f} seconds")

    def size(self, wanted: int) -> None:
        if wanted > self.limit:
            raise _Unbounded(f"makes a text of more than {self.limit:,} characters")


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, now: Callable[[], datetime], spans: tuple[str, str]) -> None:
        self.spent = threading.local()  # the budget of the rendering of this thread
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation])
        self.spans = spans
        self.filters["tojson"], self.filters["replace"] = _tojson, _replace
        self.filters = {name: self._guarded(name, one) for name, one in self.filters.items()}
        self.filters["_counted"], self.filters["_joined"] = self._counted, self._joined
        self.globals["raise_exception"] = _raise
        self.globals["strftime_now"] = lambda form: now().strftime(form)
        self.globals["dict"], self.globals["namespace"] = _Dict(), _Names
        self.globals.pop("lipsum", None)
        self.concat = self._joined  # type: ignore[method-assign]  # jinja2 reads it from the environment

    @property
    def _budget(self) -> _Budget:
        budget: _Budget = self.spent.budget
        return budget

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _Counting().visit(super()._parse(source, name, filename))
        return tree

    def _counted(self, values: Any) -> Iterator[Any]:
        for value in values:
            self._budget.step()
            yield value

    def _joined(self, parts: Iterable[Any]) -> str:
        size, said = 0, []
        for part in map(str, parts):
            size += len(part)
            self._budget.size(size)
            said.append(part)
        return "".join(said)

    def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        self._budget.step(CALL)
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(owner, str):
            self._check_growth(name, owner, args)
        return super().call(context, function, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """jinja2's own `format` of strings, with a look at the widths first."""
        safe = super().wrap_str_format(value)
        if safe is None:
            return None

        def checked(*args: Any, **kwargs: Any) -> str:
            self._check_growth("format", value.__self__, args)
            return safe(*args, **kwargs)

        return checked

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and hasattr(left, "__len__") and hasattr(right, "__len__"):
            self._budget.size(len(left) + len(right))
        elif operator == "*":
            for one, times in ((left, right), (right, left)):
                if hasattr(one, "__len__") and isinstance(times, int):
                    self._budget.size(len(one) * max(times, 0))
            if isinstance(left, int) and isinstance(right, int):
                self._budget.size(left.bit_length() + right.bit_length())
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            self._budget.size(left.bit_length() * max(right, 0))
        elif operator == "%" and isinstance(left, str):
            self._check_growth("format", left, ())
        return super().call_binop(context, operator, left, right)

    def _guarded(self, name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
        """The filter, refused where it would make much of little. jinja2's marks (`pass_context`) are kept."""

        def guarded(*args: Any, **kwargs: Any) -> Any:
            given = [arg for arg in args if not isinstance(arg, _INSIDE)]
            if given and name in _GROWING:
                self._check_growth(name, given[0], [*given[1:], *kwargs.values()])
            result = apply(*args, **kwargs)
            if isinstance(result, str):
                self._budget.size(len(result))
            return result

        guarded.__dict__.update(getattr(apply, "__dict__", {}))
        return guarded

    def _check_growth(self, name: str, text: Any, args: Sequence[Any]) -> None:
        """Before a method or filter whose result may be far longer than what it is given."""
        if name == "replace" and len(args) >= 2 and isinstance(text, str):
            self._budget.size(len(text) + text.count(str(args[0])) * len(str(args[1])))
        elif name in ("center", "ljust", "rjust", "zfill", "expandtabs", "batch", "slice", "indent"):
            lines = str(text).count("\t" if name == "expandtabs" else "\n") + 1
            for width in (arg for arg in args if isinstance(arg, int)):
                self._budget.size(width * (lines if name in ("expandtabs", "indent") else 1))
        elif name in ("format", "format_map") and isinstance(text, str) and _WIDE.search(text):
            raise _Unbounded("asks for a field of a thousand characters or more")
        elif name == "join":
            parts = args[0] if isinstance(text, str) and args else text
            if isinstance(parts, list | tuple):
                self._budget.size(sum(len(part) for part in parts if isinstance(part, str)))


class _Counting(NodeTransformer):
    """Every loop counts its turns, and `~` its characters."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_joined", [], [], None, None, lineno=node.lineno)


class _Generation(Extension):
    """`{% generation %}`: what the assistant says, between the two marks of the environment."""

    tags = {"generation"}  # noqa: RUF012  # jinja2 declares it so

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_between"), [], [], body).set_lineno(line)

    def _between(self, caller: Callable[[], str]) -> str:
        begin, end = self.environment.spans  # type: ignore[attr-defined]
        return f"{begin}{caller()}{end}"


class _Names(Namespace):
    """`namespace(...)` without names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, args = args[0], args[1:]
        for name in (given := dict(*args, **kwargs)):
            _check_name(name)
        Namespace.__init__(self, given)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a name of a namespace may not begin with an underscore, got {name!r}")


class _Dict:
    """`dict(...)` and `dict.fromkeys(...)`, and nothing else of Python's class."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, keys: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        return dict.fromkeys(keys, value)


_INSIDE = (Environment, nodes.EvalContext, Context)
_GROWING = ("replace", "join", "format", "center", "batch", "slice", "indent")


def _raise(message: Any) -> None:
    raise _Refusal(str(message))


def _replace(text: Any, old: Any, new: Any, count: int = -1) -> str:
    text = text if isinstance(text, str) else str(text)
    return str.__str__(text.replace(str(old), str(new), -1 if count is None else count))


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: int | str | None = None,
    separators: tuple[str, str] | None = None, sort_keys: bool = False,
) -> str:  # fmt: skip
    """JSON as transformers writes it: no characters are escaped for HTML."""
    if (indent if isinstance(indent, int) else len(indent or "")) > 64 or any(len(s) > 64 for s in separators or ()):
        raise _Unbounded("asks for JSON with an indent of more than 64 characters")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
