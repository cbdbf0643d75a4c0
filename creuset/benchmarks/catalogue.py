"""The tasks of `creuset eval` by name. No torch.

tasks_of(names, ask)                    -> {"mmlu": a Task, ...}: ready for evals.run; also bpb and a user's own
make("mmlu", form="chat", fewshot=5)    -> a Task, ready to be run
make("mmlu_anatomy")                    -> one part of a task that has parts: subjects, kinds, languages
NAMES                                   -> all names but those of parts, in the order of reports
about("mmlu")                           -> its class: licence, files, reference
forms("mmlu")                           -> ("loglikelihood", "generate", "chat")
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from creuset.benchmarks import from_csv
from creuset.benchmarks.bpb import Bpb
from creuset.benchmarks.choices import in_form
from creuset.benchmarks.multiple_choice import task_class
from creuset.core.errors import ConfigError
from creuset.evals import own
from creuset.evals.run import Evaluation
from creuset.evals.task import Form, Task

TABLE = ""  # one of multiple_choice.toml
_PLACES: dict[str, str] = {  # name: module:class
    "mmlu": TABLE,
    "mmlu_pro": "knowledge.mmlu_pro:MmluPro",
    "gpqa_diamond": "knowledge.gpqa:GpqaDiamond",
    "gpqa_diamond_simple_evals": "knowledge.gpqa:GpqaDiamondSimple",
    "gpqa_main": "knowledge.gpqa:GpqaMain",
    "gpqa_extended": "knowledge.gpqa:GpqaExtended",
    "arc_easy": TABLE,
    "arc_challenge": TABLE,
    "hellaswag": TABLE,
    "piqa": TABLE,
    "winogrande": TABLE,
    "openbookqa": TABLE,
    "boolq": TABLE,
    "commonsense_qa": TABLE,
    "siqa": TABLE,
    "lambada_openai": "reasoning.lambada:Lambada",
    "truthfulqa_mc1": "knowledge.truthfulqa:Mc1",
    "truthfulqa_mc2": "knowledge.truthfulqa:Mc2",
    "ceval": TABLE,
    "cmmlu": TABLE,
    "bbh": "reasoning.bbh:Bbh",
    "bbh_direct": "reasoning.bbh:BbhDirect",
    "gsm8k": "reasoning.gsm8k:Gsm8k",
    "gsm8k_cot": "reasoning.gsm8k:Gsm8kCot",
    "mgsm": "multilingual.mgsm:Mgsm",
    "mgsm_direct": "multilingual.mgsm:MgsmDirect",
    "cruxeval_o": "code.cruxeval:CruxevalO",
    "cruxeval_i": "code.cruxeval_i:CruxevalI",
    "dialogues": "instructions.dialogues:Dialogues",
    "humaneval": "code.humaneval:HumanEval",
    "mbpp": "code.mbpp:Mbpp",
    "bigcodebench_hard": "code.bigcodebench:BigCodeBenchHard",
    "bigcodebench_hard_instruct": "code.bigcodebench:BigCodeBenchHardInstruct",
    "ifeval": "instructions.ifeval:Ifeval",
    "ifeval_fr": "instructions.ifeval:IfevalFr",
    "mt_bench": "judged.mt_bench:MtBench",
    "arena_hard": "judged.arena_hard:ArenaHard",
    "livecodebench": "code.livecodebench:LiveCodeBench",
    "livecodebench_execution": "code.livecodebench_answers:LiveCodeBenchExecution",
    "livecodebench_test_output": "code.livecodebench_answers:LiveCodeBenchTestOutput",
    "livebench": "livebench.task:LiveBench",
    "livebench_0831": "livebench.task:LiveBench0831",
}
NAMES = tuple(_PLACES)


def tasks_of(
    names: Sequence[str],
    ask: Evaluation,
    *,
    judge: bool = False,
    csv: Sequence[Path] = (),
    columns: Mapping[str, str] | None = None,
) -> dict[str, Task]:
    """The tasks that `names` and the files `csv` stand for, by the names that their results get.

    A name is one of ours, `bpb`, or `file.py:Class`. `judge`: somebody is there to grade replies. Raises ConfigError
    and DataError for what can be known to be wrong before a model is loaded.
    """
    made = [_task(name, ask, judge) for name in names]
    known = ("bpb", *NAMES)
    made += [_shaped(from_csv.csv_task(path, columns, known), ask.form, ask.fewshot) for path in csv]
    found: dict[str, Task] = {}
    for task in made:
        if task.name in found:
            raise ConfigError(f"two tasks are called `{task.name}`", hint="their results would be in one file")
        found[task.name] = task
    return found


def _task(name: str, ask: Evaluation, judge: bool) -> Task:
    if name == "bpb":
        if not ask.data:
            hint = "give --data: a shards artifact, or files of text or jsonl"
            raise ConfigError("bits per byte needs text", hint=hint)
        return Bpb(ask.data, limit=ask.limit, context=ask.context, overlap=ask.overlap)
    cls = own.task_class(name, ("bpb", *NAMES)) if own.is_own(name) else about(name)
    if ask.bench is None and cls.files:
        raise ConfigError(
            f"`{name}` needs its files ({', '.join(cls.files[:3])})",
            hint="give --bench: a folder of them, or the one file",
        )
    task = _shaped(cls, ask.form, ask.fewshot)
    if task.judged and not judge and not ask.rescore:
        raise ConfigError(
            f"{name} needs a judge: another endpoint that grades the replies",
            hint="give --judge URL and --judge-model NAME",
        )
    return task


def about(name: str) -> type[Task]:
    if _PLACES.get(name) == TABLE:
        return task_class(name)
    if name in _PLACES:
        module, _, cls = _PLACES[name].partition(":")
        found: type[Task] = getattr(importlib.import_module(f"creuset.benchmarks.{module}"), cls)
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
    return _forms(about(name))


def _forms(task: type[Task]) -> tuple[Form, ...]:
    return task.forms or (task.form,)


def make(name: str, *, form: Form | None = None, fewshot: int | None = None) -> Task:
    """ConfigError where the task has no such form, or no worked examples to choose the number of."""
    return _shaped(about(name), form, fewshot)


def _shaped(task: type[Task], form: Form | None, fewshot: int | None) -> Task:
    if form is not None and form != task.form:
        if form not in _forms(task):
            raise ConfigError(f"{task.name} has no form `{form}`", hint=f"it has {', '.join(_forms(task))}")
        task = in_form(task, form)
    if fewshot is None:
        return task()
    if not hasattr(task, "shots"):
        raise ConfigError(f"{task.name} has no worked examples, and {fewshot} are asked for")
    return task(fewshot)  # type: ignore[call-arg]
