"""creuset: from a corpus to an audited assistant, in one package.

The public names are loaded when they are first used, so that `import creuset` costs nothing: docs/guides/python.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {     # public name: the module it lives in
    "load": "creuset.api",
    "generate": "creuset.api",
    "Assistant": "creuset.api",
    "AssistantReply": "creuset.api",
    "Completion": "creuset.engine.generate",
    "Engine": "creuset.engine.engine",
    "Tokenizer": "creuset.text.tokenizer",
    "load_model": "creuset.model.formats.weights",
    "CreusetError": "creuset.core.errors",
}
__all__ = ["__version__", *_PLACES]

if TYPE_CHECKING:
    from creuset.api import Assistant as Assistant
    from creuset.api import AssistantReply as AssistantReply
    from creuset.api import generate as generate
    from creuset.api import load as load
    from creuset.core.errors import CreusetError as CreusetError
    from creuset.engine.engine import Engine as Engine
    from creuset.engine.generate import Completion as Completion
    from creuset.model.formats.weights import load_model as load_model
    from creuset.text.tokenizer import Tokenizer as Tokenizer


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module `creuset` has no attribute `{name}`")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
