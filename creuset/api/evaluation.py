"""Score a model, or test what it does beside answering well: what `creuset eval` and `creuset audit` run.

No torch here: an endpoint is examined without it.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from creuset.core.errors import ConfigError
from creuset.evals.clients.open import ClientSettings, is_url, open_client, price_of, share_budget

if TYPE_CHECKING:
    from creuset.evals.run import Evaluation, Recorded
    from creuset.evals.task import Task
    from creuset.governance.audit.run import AuditPlan, Result


def evaluate(
    model: str | Path,
    tasks: Sequence[str] = ("bpb",),
    *,
    to: ClientSettings | None = None,
    judge: str = "",
    judge_to: ClientSettings | None = None,
    rescore: Path | None = None,
    work: Path | None = None,
    out: Path | None = None,
    csv: Sequence[Path] = (),
    columns: Mapping[str, str] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """The results of `tasks`: what stands in results.json.

    A task is one of ours by its name, `bpb`, or a class of yours as `file.py:Class`. `csv`: files to make tasks of;
    their `columns` ("question", "answer", "choices" ...) are found by their names where they are not given.

    `model`: a folder, a shipped name or the base URL of an endpoint; `to` says how it is reached (its name there, the
    variable that holds the key, a price cap). `judge` grades replies, for tasks that need one. `settings`: fields of
    `Evaluation`, such as bench, data, limit, form, fewshot, seed. `rescore`: ask nobody, score the answers kept in that
    folder; `model` is then "". `work`: where answers are kept as they come; a run that was cut off goes on there
    (default: OUT.work until OUT is whole). `out`: the artifact to write.

    Raises ConfigError before anybody is asked, where the question is wrong; EngineError where an endpoint is gone.
    """
    if out is not None and out.exists():
        raise ConfigError(f"`{out}` already exists", hint="artifacts are never overwritten; choose another name")
    from creuset.benchmarks.catalogue import tasks_of
    from creuset.evals.run import Evaluation, Recorded

    to, judge_to = to or ClientSettings(), judge_to or ClientSettings()
    # A folder costs nothing: where it is judged by an endpoint, the cap is the judge's.
    to = to if is_url(str(model)) or not is_url(judge) else replace(to, price_cap=None)
    judge_to = judge_to if is_url(judge) else replace(judge_to, price_cap=None)
    try:
        ask = Evaluation(**settings, rescore=rescore is not None)
        names = tuple(dict.fromkeys(tasks))
        if rescore is not None and (ours := [name for name in names if ":" not in name]):
            Recorded.of(rescore, ours)  # without a journal nothing else needs to be said
        made = tasks_of(names, ask, judge=bool(judge), csv=csv, columns=columns)
        recorded = Recorded.of(rescore, list(made)) if rescore is not None else None
        ask = replace(ask, tasks=tuple(made), seed=recorded.seed if recorded else ask.seed)
        return asyncio.run(_evaluate(str(model), made, ask, to, judge, judge_to, recorded, work or rescore, out))
    except ValueError as refused:
        raise ConfigError(str(refused)) from refused


async def _evaluate(
    model: str, tasks: "dict[str, Task]", ask: "Evaluation", to: ClientSettings, judge: str, judge_to: ClientSettings,
    recorded: "Recorded | None", work: Path | None, out: Path | None,
) -> dict[str, Any]:  # fmt: skip
    from creuset.evals.run import check_samples, evaluate, keep

    examined = judging = None
    kept_by_us = work is None and out is not None
    if kept_by_us and out is not None:
        work = out.with_name(out.name + ".work")
    try:
        judging = await open_client(judge, judge_to) if judge else None
        check_samples(tasks, ask)  # what is wrong with the files is said before a model is loaded
        examined = recorded or await open_client(model, to)
        share_budget(examined, judging)
        results, samples = await evaluate(
            examined, tasks, ask, work=work, price=price_of(examined, to), judge=judging,
            judge_price=price_of(judging, judge_to) if judging is not None else None,
        )  # fmt: skip
    finally:
        for client in (examined, judging):
            if client is not None:
                await client.close()
    if out is not None:
        keep(out, examined.path, ask, results, samples)
        if kept_by_us and work is not None:
            shutil.rmtree(work, ignore_errors=True)  # every answer is in the artifact now
    return results


def audit(
    model: str | Path,
    asked: "AuditPlan | None" = None,
    *,
    to: ClientSettings | None = None,
    judge: str = "",
    judge_to: ClientSettings | None = None,
    paraphraser: str = "",
    paraphraser_to: ClientSettings | None = None,
    work: Path | None = None,
    out: Path | None = None,
    lang: str = "en",
) -> "tuple[dict[str, Any], list[Result]]":
    """The audit of a model or an endpoint: what stands in its results.json, and a result for each part.

    `asked`: which requirements and parts, with which material. `judge` gives a second opinion on refusals,
    `paraphraser` rewrites marked text. `work`, `out`: as for `evaluate`; `lang`: in which the page opens.
    """
    from creuset.governance.audit.keep import free
    from creuset.governance.audit.run import AuditPlan

    free(out)
    helpers = ((judge, judge_to or ClientSettings()), (paraphraser, paraphraser_to or ClientSettings()))
    return asyncio.run(_audit(str(model), asked or AuditPlan(), to or ClientSettings(), helpers, work, out, lang))


async def _audit(
    name: str, asked: "AuditPlan", to: ClientSettings, helpers: Sequence[tuple[str, ClientSettings]], work: Path | None,
    out: Path | None, lang: str,
) -> "tuple[dict[str, Any], list[Result]]":  # fmt: skip
    from creuset.core.log import say
    from creuset.governance.audit.keep import keep, results_json
    from creuset.governance.audit.run import audit as run_audit

    # A folder costs nothing: where endpoints help to examine one, the cap is theirs.
    capped = to if is_url(name) or not any(url for url, _ in helpers) else replace(to, price_cap=None)
    hows = [how if is_url(url) else replace(how, price_cap=None) for url, how in helpers]
    examined = await open_client(name, capped)
    model: Path | None = examined.path
    helping: list[Any] = [None, None]
    with tempfile.TemporaryDirectory() as passing:
        beside = out.with_name(out.name + ".work") if out else Path(passing)
        try:
            for at, (url, _) in enumerate(helpers):
                helping[at] = await open_client(url, hows[at]) if url else None
            share_budget(examined, *helping)
            results = await run_audit(
                examined, asked, work=work or beside, model=model, judge=helping[0], say=say, paraphraser=helping[1],
                endpoint=name if is_url(name) else "", key=os.environ.get(to.key_env, ""),
                price=price_of(examined, capped),
                judge_price=price_of(helping[0], hows[0]) if helping[0] is not None else None,
            )  # fmt: skip
        finally:
            await examined.close()
            for client in filter(None, helping):
                await client.close()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    said = results_json(results, examined.identity(), asked, date=date)
    if out is not None:
        keep(out, results, said, model=model, lang=lang)
        if work is None:
            shutil.rmtree(beside, ignore_errors=True)  # every answer that may be shown is in the artifact now
    return said, results
