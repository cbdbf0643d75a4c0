"""A model's Jinja template, run in jinja2's sandbox with the helpers that transformers gives to templates."""

import json
from datetime import datetime
from typing import Any

from creuset.core.errors import RequestError


class JinjaTemplate:
    def __init__(self, source: str) -> None:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise
        environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
        self._template = environment.from_string(source)

    def render(self, **variables: Any) -> str:
        return self._template.render(**variables)


def _raise(message: str) -> None:
    raise RequestError(f"the model's chat template refuses: {message}", param="messages")


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
