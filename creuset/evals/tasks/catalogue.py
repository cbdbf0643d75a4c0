"""The tasks of `creuset eval` by name. No torch.

    make("mmlu", form="chat", fewshot=5)    -> a Task, ready to be run
    make("mmlu_anatomy")                    -> one part of a task that has parts: subjects, kinds, languages
    NAMES                                   -> all names but those of parts, in the order of reports
    about("mmlu")                           -> its class: licence, files, reference
    forms("mmlu")                           -> ("loglikelihood", "generate", "chat")
"""

import importlib

from creuset.core.errors import ConfigError
from creuset.evals.task import Form, Task
from creuset.evals.tasks.choices import in_form

_PLACES: dict[str, str] = {     # name: module:class
    "mmlu": "mmlu:Mmlu",
    "mmlu_pro": "mmlu_pro:MmluPro",
    "gpqa_diamond": "gpqa:GpqaDiamond",
    "gpqa_diamond_simple_evals": "gpqa:GpqaDiamondSimple",
    "gpqa_main": "gpqa:GpqaMain",
    "gpqa_extended": "gpqa:GpqaExtended",
    "arc_easy": "arc:ArcEasy",
    "arc_challenge": "arc:ArcChallenge",
    "hellaswag": "hellaswag:HellaSwag",
    "piqa": "piqa:Piqa",
    "winogrande": "winogrande:WinoGrande",
    "openbookqa": "openbookqa:OpenBookQA",
    "boolq": "boolq:BoolQ",
    "commonsense_qa": "commonsense_qa:CommonsenseQA",
    "siqa": "siqa:Siqa",
    "lambada_openai": "lambada:Lambada",
    "truthfulqa_mc1": "truthfulqa:Mc1",
    "truthfulqa_mc2": "truthfulqa:Mc2",
    "ceval": "chinese:CEval",
    "cmmlu": "chinese:Cmmlu",
    "bbh": "bbh:Bbh",
    "bbh_direct": "bbh:BbhDirect",
    "gsm8k": "gsm8k:Gsm8k",
    "gsm8k_cot": "gsm8k:Gsm8kCot",
    "mgsm": "mgsm:Mgsm",
    "mgsm_direct": "mgsm:MgsmDirect",
    "cruxeval_o": "cruxeval:CruxevalO",
    "cruxeval_i": "cruxeval_i:CruxevalI",
    "dialogues": "dialogues:Dialogues",
    "humaneval": "humaneval:HumanEval",
    "mbpp": "mbpp:Mbpp",
    "bigcodebench_hard": "bigcodebench:BigCodeBenchHard",
    "bigcodebench_hard_instruct": "bigcodebench:BigCodeBenchHardInstruct",
    "ifeval": "ifeval:Ifeval",
    "ifeval_fr": "ifeval:IfevalFr",
    "mt_bench": "mt_bench:MtBench",
    "arena_hard": "arena_hard:ArenaHard",
    "livecodebench": "livecodebench:LiveCodeBench",
    "livecodebench_execution": "livecodebench_answers:LiveCodeBenchExecution",
    "livecodebench_test_output": "livecodebench_answers:LiveCodeBenchTestOutput",
    "livebench": "livebench.task:LiveBench",
    "livebench_0831": "livebench.task:LiveBench0831",
}
NAMES = tuple(_PLACES)


def about(name: str) -> type[Task]:
    if name in _PLACES:
        module, _, cls = _PLACES[name].partition(":")
        found: type[Task] = getattr(importlib.import_module(f"creuset.evals.tasks.{module}"), cls)
        return found
    for whole in sorted(_PLACES, key=len, reverse=True):
        if name.startswith(f"{whole}_"):
            task = about(whole)
            for part in getattr(task, "parts", ()):
                if name == f"{whole}_{part.replace(' ', '_')}":
                    return in_form(task, task.form, name=name, part=(part,))
            variant = getattr(task, "variant", None)
            if variant is not None and (header := variant(name.removeprefix(f"{whole}_"))) is not None:
                return in_form(task, task.form, name=name, **header)
    raise ConfigError(f"`{name}` is not a task", hint=f"there are bpb, {', '.join(NAMES)}")


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
