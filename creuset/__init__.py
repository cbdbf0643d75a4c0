"""creuset: from a corpus to an audited assistant, in one package.

The public names are loaded when they are first used, so that `import creuset` costs nothing: docs/guides/python.md.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_PLACES = {  # public name: the module it lives in, and its name there
    "load": "creuset.api.assistant:load",
    "generate": "creuset.api.assistant:generate",
    "pull": "creuset.model.store.pull:pull",
    "Assistant": "creuset.api.assistant:Assistant",
    "AssistantReply": "creuset.api.assistant:AssistantReply",
    "Completion": "creuset.engine.generate:Completion",
    "pretrain": "creuset.train.run:train",
    "finetune": "creuset.train.finetune:finetune",
    "evaluate": "creuset.api.evaluation:evaluate",
    "audit": "creuset.api.evaluation:audit",
    "Engine": "creuset.engine.engine:Engine",
    "Tokenizer": "creuset.text.tokenizer:Tokenizer",
    "load_model": "creuset.model.formats.weights:load_model",
    "recipe": "creuset.core.config:recipe",
    "CreusetError": "creuset.core.errors:CreusetError",
}
__all__ = ["__version__", *_PLACES]

if TYPE_CHECKING:
    from creuset.api.assistant import Assistant as Assistant
    from creuset.api.assistant import AssistantReply as AssistantReply
    from creuset.api.assistant import generate as generate
    from creuset.api.assistant import load as load
    from creuset.api.evaluation import audit as audit
    from creuset.api.evaluation import evaluate as evaluate
    from creuset.core.config import recipe as recipe
    from creuset.core.errors import CreusetError as CreusetError
    from creuset.engine.engine import Engine as Engine
    from creuset.engine.generate import Completion as Completion
    from creuset.model.formats.weights import load_model as load_model
    from creuset.model.store.pull import pull as pull
    from creuset.text.tokenizer import Tokenizer as Tokenizer
    from creuset.train.finetune import finetune as finetune
    from creuset.train.run import train as pretrain  # noqa: F401


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module `creuset` has no attribute `{name}`")
    module, _, attribute = _PLACES[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        from creuset.core.extras import missing

        if clear := missing(error):
            raise clear from error
        raise


def __dir__() -> list[str]:
    return sorted(__all__)
