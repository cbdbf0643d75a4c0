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
from creuset.evals.clients.reach import Reach, is_url, price_of, reach, share_budget

if TYPE_CHECKING:
    from creuset.governance.audit.run import Asked, Result


def evaluate(
    model: str | Path,
    tasks: Sequence[str] = ("bpb",),
    *,
    to: Reach | None = None,
    judge: str = "",
    judge_to: Reach | None = None,
    rescore: Path | None = None,
    work: Path | None = None,
    out: Path | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """The results of `tasks`: what stands in results.json.

    `model`: a folder, a shipped name or the base URL of an endpoint; `to` says how it is reached (its name there, the
    variable that holds the key, a price cap). `judge` grades replies, for tasks that need one. `settings`: fields of
    `Evaluation`, such as bench, data, limit, form, fewshot, seed. `rescore`: ask nobody, score the answers kept in that
    folder; `model` is then "". `work`: where answers are kept as they come; a run that was cut off goes on there
    (default: OUT.work until OUT is whole). `out`: the artifact to write.

    Raises ConfigError before anybody is asked, where the question is wrong; EngineError where an endpoint is gone.
    """
    if out is not None and out.exists():
        raise ConfigError(f"`{out}` already exists", hint="artifacts are never overwritten; choose another name")
    names = tuple(dict.fromkeys(tasks))
    return asyncio.run(_evaluate(str(model), names, to or Reach(), judge, judge_to or Reach(), rescore, work, out,
                                 settings))


async def _evaluate(
    model: str, names: tuple[str, ...], to: Reach, judge: str, judge_to: Reach, rescore: Path | None, work: Path | None,
    out: Path | None, settings: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    from creuset.evals.run import Evaluation, Recorded, evaluate, keep, tasks_of

    recorded = Recorded.of(rescore, names) if rescore is not None else None
    # A folder costs nothing: where it is judged by an endpoint, the cap is the judge's.
    capped = to if is_url(model) or not is_url(judge) else replace(to, price_cap=None)
    judge_to = judge_to if is_url(judge) else replace(judge_to, price_cap=None)
    examined = judging = None
    kept_by_us = work is None and rescore is None and out is not None
    try:
        ask = Evaluation(
            tasks=names, rescore=recorded is not None,
            **{**settings, **({"seed": recorded.seed} if recorded else {})},
        )  # fmt: skip
        judging = await reach(judge, judge_to) if judge else None
        tasks_of(ask, judging)    # what is wrong with the question is said before a model is loaded
        examined = recorded or await reach(model, capped)
        if kept_by_us and out is not None:
            work = out.with_name(out.name + ".work")
        share_budget(examined, judging)
        results, samples = await evaluate(
            examined, ask, work=rescore or work, price=price_of(examined, capped), judge=judging,
            judge_price=price_of(judging, judge_to) if judging is not None else None,
        )  # fmt: skip
    except ValueError as refused:
        raise ConfigError(str(refused)) from refused
    finally:
        for client in (examined, judging):
            if client is not None:
                await client.close()
    if out is not None:
        keep(out, getattr(examined, "path", None), ask, results, samples)
        if kept_by_us and work is not None:
            shutil.rmtree(work, ignore_errors=True)     # every answer is in the artifact now
    return results


def audit(
    model: str | Path,
    asked: "Asked | None" = None,
    *,
    to: Reach | None = None,
    judge: str = "",
    judge_to: Reach | None = None,
    paraphraser: str = "",
    paraphraser_to: Reach | None = None,
    work: Path | None = None,
    out: Path | None = None,
    lang: str = "en",
) -> "tuple[dict[str, Any], list[Result]]":
    """The audit of a model or an endpoint: what stands in its results.json, and a result for each part.

    `asked`: which requirements and parts, with which material. `judge` gives a second opinion on refusals,
    `paraphraser` rewrites marked text. `work`, `out`: as for `evaluate`; `lang`: in which the page opens.
    """
    from creuset.governance.audit.keep import free
    from creuset.governance.audit.run import Asked

    free(out)
    helpers = ((judge, judge_to or Reach()), (paraphraser, paraphraser_to or Reach()))
    return asyncio.run(_audit(str(model), asked or Asked(), to or Reach(), helpers, work, out, lang))


async def _audit(
    name: str, asked: "Asked", to: Reach, helpers: Sequence[tuple[str, Reach]], work: Path | None, out: Path | None,
    lang: str,
) -> "tuple[dict[str, Any], list[Result]]":  # fmt: skip
    from creuset.core.log import say
    from creuset.governance.audit.keep import keep, results_json
    from creuset.governance.audit.run import audit as run_audit

    # A folder costs nothing: where endpoints help to examine one, the cap is theirs.
    capped = to if is_url(name) or not any(url for url, _ in helpers) else replace(to, price_cap=None)
    hows = [how if is_url(url) else replace(how, price_cap=None) for url, how in helpers]
    examined = await reach(name, capped)
    model: Path | None = getattr(examined, "path", None)
    helping: list[Any] = [None, None]
    with tempfile.TemporaryDirectory() as passing:
        beside = out.with_name(out.name + ".work") if out else Path(passing)
        try:
            for at, (url, _) in enumerate(helpers):
                helping[at] = await reach(url, hows[at]) if url else None
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
            shutil.rmtree(beside, ignore_errors=True)   # every answer that may be shown is in the artifact now
    return said, results
