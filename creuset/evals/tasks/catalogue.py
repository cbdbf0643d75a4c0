"""The tasks of `creuset eval` by name. No torch.

    make("mmlu", form="chat", fewshot=5)    -> a Task, ready to be run
    NAMES                                   -> all names, in the order of reports
    about("mmlu")                           -> its class: licence, files, reference, forms
"""

import importlib

from creuset.core.errors import ConfigError
from creuset.evals.task import Form, Task
from creuset.evals.tasks.choices import in_form

_PLACES: dict[str, str] = {     # name: module and class, or module and the function that gives a class by name
    "mmlu": "mmlu:Mmlu",
    "mmlu_pro": "mmlu_pro:MmluPro",
    "arc_easy": "arc:ArcEasy",
    "arc_challenge": "arc:ArcChallenge",
    "hellaswag": "hellaswag:HellaSwag",
    "piqa": "piqa:Piqa",
    "winogrande": "winogrande:WinoGrande",
    "openbookqa": "openbookqa:OpenBookQA",
    "boolq": "boolq:BoolQ",
    "commonsense_qa": "commonsense_qa:CommonsenseQA",
    "siqa": "siqa:Siqa",
}
NAMES = tuple(_PLACES)


def about(name: str) -> type[Task]:
    if name not in _PLACES:
        raise ConfigError(f"`{name}` is not a task", hint=f"there are bpb, {', '.join(NAMES)}")
    module, _, cls = _PLACES[name].partition(":")
    found: type[Task] = getattr(importlib.import_module(f"creuset.evals.tasks.{module}"), cls)
    return found


def forms(name: str) -> tuple[Form, ...]:
    """The forms a task can be asked in, the usual one first."""
    task = about(name)
    found: tuple[Form, ...] = getattr(task, "forms", (task.form,))
    return found


def make(name: str, *, form: Form | None = None, fewshot: int | None = None) -> Task:
    """ConfigError where the task has no such form, or no worked examples to choose the number of."""
    task = about(name)
    if form is not None and form != task.form:
        if form not in forms(name):
            raise ConfigError(f"{name} has no form `{form}`", hint=f"it has {', '.join(forms(name))}")
        task = in_form(task, form)
    if fewshot is None:
        return task()
    if not hasattr(task, "shots"):
        raise ConfigError(f"{name} has no worked examples, and {fewshot} are asked for")
    return task(fewshot)    # type: ignore[call-arg]
