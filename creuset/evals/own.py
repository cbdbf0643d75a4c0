"""A user's own task: `file.py:Class`, a subclass of `Task` in a file of theirs. No torch.

    class Rhymes(Task):
        name = "rhymes"
        form = "chat"
        needs = frozenset({"chat"})

        def samples(self, folder): ...      # Sample, Sample, ...
        def score(self, sample, outcomes): ...      # {"correct": 1.0}

The name of the file and its sha256 go into the results, so that a score says which code made it.
"""

import difflib
import hashlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

from creuset.core.artifact import sha256_file
from creuset.core.errors import ConfigError
from creuset.evals.task import Task

NEEDED = ("samples", "score")


def is_own(name: str) -> bool:
    """Whether `name` is of the form `file.py:Class`."""
    return name.partition(":")[0].endswith(".py") or ":" in name


def task_class(name: str, taken: tuple[str, ...] = ()) -> type[Task]:
    """The class that `file.py:Class` names; the file is run, as any import is.

    `taken`: names that its task must not have. Raises ConfigError for a file that is not there or does not run, and
    for a class that is not there or is no task, in words that say what is missing.
    """
    path_text, _, class_name = name.partition(":")
    path = Path(path_text)
    if not class_name or path.suffix != ".py":
        raise ConfigError(f"`{name}` is not of the form file.py:Class", hint="name a file and a subclass of Task in it")
    if not path.is_file():
        raise ConfigError(f"`{path}` does not exist: it should hold the task `{class_name}`")
    module = _load(path)
    found = vars(module).get(class_name)
    own = [n for n, c in vars(module).items()
           if inspect.isclass(c) and issubclass(c, Task) and c.__module__ == module.__name__]  # fmt: skip
    if found is None:
        near = difflib.get_close_matches(class_name, own, n=1)
        has = f"it has {', '.join(own)}" if own else "it has no subclass of creuset.evals.task.Task"
        raise ConfigError(f"`{path}` has no class `{class_name}`", hint=f"did you mean `{near[0]}`?" if near else has)
    if not inspect.isclass(found) or not issubclass(found, Task):
        raise ConfigError(f"`{name}` is not a task", hint="it must be a subclass of creuset.evals.task.Task")
    _check(found, name, taken)
    found.code = {"file": path.name, "sha256": sha256_file(path)}
    return found


def _load(path: Path) -> ModuleType:
    """The module that the file is; a name of its own, so that two files of one name are two modules."""
    known = f"creuset_task_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(known, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[known] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[known]
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"`{path}` cannot be run: {type(error).__name__}: {error}{where}") from error
    return module


def _check(found: type[Task], name: str, taken: tuple[str, ...]) -> None:
    called = getattr(found, "name", "")
    if not isinstance(called, str) or not re.fullmatch(r"[\w.+-]*\w", called):
        raise ConfigError(
            f"`{name}` has {f'the name {called!r}' if called else 'no name'}",
            hint='write name = "..." in the class: letters, digits, - and _; files are called so',
        )
    if called in taken:
        raise ConfigError(f"`{name}` has the name of a task of ours, `{called}`", hint="give it another name")
    missing = [method for method in NEEDED if vars(Task)[method] is getattr(found, method)]
    if missing:
        raise ConfigError(f"`{name}` has no method `{missing[0]}`", hint="a task defines samples and score")
