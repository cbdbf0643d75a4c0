"""Who carries batches out: one task for each open batch, a few lines at a time, behind everybody who waits for a reply.

A line goes through the route of its endpoint, as its key would ask it now, so what holds for a client holds for it:
models, limits, budgets, structures, hooks. Its answer is kept before the next step, and it is charged under its own
name. So a server that is killed goes on where it was: a line that was charged and not kept is asked again and not
charged again.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import msgspec
from starlette.types import ASGIApp

from creuset.core.errors import CreusetError, NotAllowed, NotFound
from creuset.server.batches.answers import answered, estimated, unanswered, waits_for
from creuset.server.batches.asking import Asked, ask_route
from creuset.server.batches.batch import BatchFault, BatchRecord
from creuset.server.batches.lines import MOST_BYTES, LineAsk, LineIndex, parse_line
from creuset.server.batches.store import BatchStore, LineDone, charge_name
from creuset.server.engines.pool import EnginePool
from creuset.server.errors import error_object, status_of
from creuset.server.files.store import FileStore, Owner
from creuset.server.middleware import KeyStore, RequestContext
from creuset.server.settings import ServeSettings
from creuset.server.tenants.admission import Errand
from creuset.types.tenants import Caller

LEASE_S = 30
LOOK_S = 1.0  # how often other servers' batches are looked for
SWEEP_S = 60.0
ROOM_S = 0.02
FILES_LIFE_S = 30 * 86400  # of what a batch writes, where its client does not say

WORDS = {
    "expired": ("batch_expired", "This request could not be carried out before the batch expired."),
    "cancelled": ("batch_cancelled", "The batch was cancelled before this request was carried out."),
    "failed": ("batch_failed", "The batch ended before this request was carried out."),
}


class _OverBefore(Exception):
    """The batch ends now, and the line that was to be asked stays without an answer."""


@dataclass(slots=True, eq=False)
class _Job:
    batch: BatchRecord
    task: "asyncio.Task[None] | None" = None

    def ends(self) -> bool:
        """Whether it ends before all lines are answered."""
        return bool(self.batch.ending)


class BatchRunner:
    def __init__(
        self, files: FileStore, engines: EnginePool, settings: ServeSettings, *, keys: KeyStore | None = None,
        log: Any = None, clock: Callable[[], float] = time.time, replica: str = "",
    ) -> None:  # fmt: skip
        self.files, self.store, self._engines = files, BatchStore(files.database, files.vault), engines
        self._settings, self._keys, self._log, self._clock = settings, keys, log, clock
        self.replica = replica or f"srv_{token_hex(8)}"
        self.shared = files.database.engine.dialect.name == "postgresql"
        self._app: ASGIApp | None = None
        self._jobs: dict[str, _Job] = {}
        self._running = 0
        self._wake, self._ended = asyncio.Event(), False
        self._task: asyncio.Task[None] | None = None

    @property
    def now(self) -> int:
        return int(self._clock())

    @property
    def places(self) -> int:
        """Lines that are carried out together at most: half of the places, so that others find one at once."""
        return max(1, self._settings.max_concurrency // 2)

    # -- life

    def serve(self, app: ASGIApp) -> None:
        """`app` answers the lines."""
        self._app = app

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Lines that run are left; whoever starts next asks them again."""
        self._ended = True
        self._wake.set()
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for task in (*tasks, *([self._task] if self._task else [])):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        if self._task is not None:
            with suppress(Exception):
                await self.store.let_go(self.replica)

    def wake(self) -> None:
        """Something has changed: a batch was made, or is to be cancelled."""
        self._wake.set()

    async def _run(self) -> None:
        swept = 0.0
        while not self._ended:
            self._wake.clear()
            try:
                await self._look()
                if self._clock() - swept > SWEEP_S:
                    swept = self._clock()
                    await self.files.database.run(self.files.sweep)
            except Exception as error:
                self._tell("batches", error=type(error).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if self.shared or self._jobs else SWEEP_S):
                    await self._wake.wait()

    async def _look(self) -> None:
        """Take batches that nobody carries out, keep ours, and hear which are cancelled."""
        if self._jobs:
            mine = await self.store.renew(self.replica, self.now, LEASE_S)
            for id, job in list(self._jobs.items()):
                if id not in mine and job.task is not None and not job.batch.over:
                    job.task.cancel()  # another server has it
                elif mine.get(id) is not None and not job.batch.ending:
                    job.batch.ending, job.batch.cancelling_at = "cancelled", mine[id]
                elif job.batch.expires_at <= self.now and not job.batch.ending:
                    job.batch.ending = "expired"
        for batch in await self.store.claim(self.replica, self.now, LEASE_S, alone=not self.shared):
            job = self._jobs[batch.id] = _Job(batch)
            if batch.cancelling_at is not None and batch.status == "cancelling":
                batch.ending, batch.status = "cancelled", "in_progress" if batch.in_progress_at else "validating"
            elif batch.expires_at <= self.now and not batch.ending:
                batch.ending = "expired"
            job.task = asyncio.create_task(self._carry_out(job))

    def _tell(self, event: str, **facts: Any) -> None:
        if self._log is not None:
            (self._log.error if "error" in facts else self._log.info)(event, **facts)

    # -- one batch

    async def _carry_out(self, job: _Job) -> None:
        batch = job.batch
        try:
            while not batch.over:
                try:
                    await self._steps(job)
                except Exception as error:  # the database is gone, or a disk is full: later
                    self._tell("batch", id=batch.id, error=type(error).__name__)
                    await asyncio.sleep(LOOK_S)
        finally:
            self._jobs.pop(batch.id, None)
            self._wake.set()

    async def _steps(self, job: _Job) -> None:
        batch = job.batch
        if batch.status == "validating":
            await self._validate(job)
        if batch.status == "in_progress":
            await self._lines(job)
        if not batch.over:
            await self._finish(job)
        self._tell("batch", id=batch.id, status=batch.status, endpoint=batch.endpoint, key=batch.key or None)

    async def _save(self, job: _Job) -> None:
        if not await self.store.save(job.batch, self.replica):
            raise asyncio.CancelledError  # another server has it

    async def _validate(self, job: _Job) -> None:
        batch = job.batch
        index = LineIndex(batch.endpoint, self._settings.body_limit_bytes)
        file = await self.files.find(batch.owner, batch.input_file_id)
        if file is None:
            index.faults.append(BatchFault("file_not_found", "the input file is not there any more"))
        elif file.bytes > MOST_BYTES:
            index.faults.append(BatchFault("file_too_large", f"the input of a batch has at most {MOST_BYTES} bytes"))
        else:
            await index.read(self.files.content(file.id))
        if index.faults:
            batch.errors, batch.status, batch.failed_at = index.faults, "failed", self.now
        else:
            await self.store.add_lines(batch.id, index.places)
            batch.model = next(iter(index.models)) if len(index.models) == 1 else None
            batch.status, batch.in_progress_at = "in_progress", self.now
        await self._save(job)

    async def _lines(self, job: _Job) -> None:
        """Ask line after line. Returns when all are answered, or when the batch ends before."""
        after, tasks = -1, set[asyncio.Task[None]]()
        try:
            while not job.ends():
                rows = await self.store.waiting(job.batch.id, after)
                if not rows:
                    break
                for row in rows:
                    while len(tasks) >= self.places:
                        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                        for one in done:
                            one.result()
                    if job.ends():
                        break
                    tasks.add(asyncio.create_task(self._line(job, *row)))
                    after = row[0]
            if tasks:  # what runs may end, also where the batch is cancelled
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _line(self, job: _Job, at: int, begin: int, size: int, charged: bool) -> None:
        raw = await self.files.read(job.batch.input_file_id, begin, size)
        if len(raw) < size:
            job.batch.ending = job.batch.ending or "failed"
            job.batch.errors.append(BatchFault("file_not_found", "the input file is not there any more"))
            return
        ask = parse_line(raw, job.batch.endpoint)
        with suppress(_OverBefore):
            await self._keep(job, await self._answer(job, at, ask, charged))

    async def _answer(self, job: _Job, at: int, ask: LineAsk, charged: bool) -> LineDone:
        batch, tries = job.batch, 0
        body = msgspec.json.encode(ask.body)
        while True:
            await self._room(job, ask.model)
            self._running += 1
            try:
                errand = Errand("batch", charge_name(batch.id, at), prepaid=charged, dry=batch.dry_run)
                context = RequestContext("req_" + token_hex(12), caller=batch.owner or None, errand=errand)
                asked = await self._asked(job, body, context)
            finally:
                self._running -= 1
            if errand.estimate is not None:
                return estimated(batch.id, at, ask.custom_id, context.id, ask.model, errand.estimate)
            wait = waits_for(asked, tries)
            if wait is None:
                return answered(batch.id, at, ask.custom_id, context.id, asked)
            tries += asked.status not in (429, 503)
            end = self._clock() + wait
            while not job.batch.ending and not self._ended and (left := end - self._clock()) > 0:
                await asyncio.sleep(min(left, LOOK_S))

    async def _asked(self, job: _Job, body: bytes, context: RequestContext) -> Asked:
        assert self._app is not None
        try:
            context.who = self._who(job)
            return await ask_route(self._app, job.batch.endpoint, body, context)
        except _OverBefore:
            raise
        except CreusetError as error:  # nobody can say now who asks
            return Asked(status_of(error), msgspec.json.encode(error_object(error)), LOOK_S)
        except Exception as error:
            self._tell("batch_line", request=context.id, error=type(error).__name__)
            return Asked(500, msgspec.json.encode(error_object(error)))

    async def _room(self, job: _Job, model: str) -> None:
        """Wait for a place that nobody else wants: at most half of a model's places are taken for batches, and none
        while others have that half. Raises _OverBefore where the batch ends meanwhile."""
        while not job.batch.ending and not self._ended:
            if self._running < self.places and self._free(model):
                return
            await asyncio.sleep(ROOM_S)
        raise _OverBefore

    def _free(self, model: str) -> bool:
        try:
            engine = self._engines.find(model)
        except NotFound:
            return True  # the answer will say so
        return engine.gauges().open < self.places

    def _who(self, job: _Job) -> Caller | None:
        """What the key of the batch stands for now. Raises _OverBefore where it does not work any more."""
        if self._keys is None:
            return None
        try:
            return self._keys.standing(job.batch.key)
        except NotAllowed as error:
            if not job.batch.ending:
                job.batch.ending = "failed"
                job.batch.errors.append(BatchFault(error.code or "invalid_api_key", f"the key of this batch: {error}"))
            raise _OverBefore from error

    async def _keep(self, job: _Job, line: LineDone) -> None:
        """Its answer was paid for: it waits here until the database takes it."""
        while not self._ended:
            try:
                return await self.store.done(job.batch.organization, [line])
            except Exception as error:
                self._tell("batch_line", id=line.batch, error=type(error).__name__)
                await asyncio.sleep(LOOK_S)

    # -- the end of one

    async def _finish(self, job: _Job) -> None:
        batch = job.batch
        if job.ends():
            await self._leave_out(job)
        elif await self.store.waiting(batch.id, -1):  # the server stops
            return await asyncio.sleep(LOOK_S)
        batch.status, batch.finalizing_at = "finalizing", self.now
        await self._save(job)
        batch.output_file_id = await self._written(batch, "completed")
        batch.error_file_id = await self._written(batch, "failed")
        batch.status = job.batch.ending or "completed"
        setattr(batch, f"{batch.status}_at", self.now)
        await self._save(job)
        await self.store.forget_results(batch.id)

    async def _leave_out(self, job: _Job) -> None:
        """Say of each line that has no answer why it has none."""
        code, message = WORDS[job.batch.ending]
        after, batch = -1, job.batch
        while rows := await self.store.waiting(batch.id, after):
            after = rows[-1][0]
            lines = []
            for at, begin, size, _ in rows:
                raw = await self.files.read(batch.input_file_id, begin, size)
                custom_id = parse_line(raw, batch.endpoint).custom_id if len(raw) == size else f"line-{at + 1}"
                lines.append(unanswered(batch.id, at, custom_id, code, message))
            await self.store.done(batch.organization, lines)

    async def _written(self, batch: BatchRecord, state: str) -> str | None:
        """The id of the file with the lines of this `state`; None where there are none."""
        writing = None
        async for line in self.store.results(batch.organization, batch.id, state):
            if writing is None:
                owner = Owner(batch.owner, batch.organization, batch.project)
                id = f"file-{batch.id.removeprefix('batch_')}-{'output' if state == 'completed' else 'error'}"
                writing = await self.files.begin(owner, id=id, most=1 << 40)
            await writing.add(line)
        if writing is None:
            return None
        name = f"{batch.id}_{'output' if state == 'completed' else 'error'}.jsonl"
        life = FILES_LIFE_S if batch.output_seconds is None else batch.output_seconds
        return (await self.files.finish(writing, name, "batch_output", life)).id
