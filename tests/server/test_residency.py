"""Which models are in memory: random histories of asking, ending, cancelling, loading and failing.

The models here are loaded when the test says so, so that every order of events can be tried.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from creuset.core.errors import CreusetError, EngineError
from creuset.server.engines.residency import RETRY_S, CannotLoad, DoesNotFit, Residency, Resident


class Model:
    """A model that is loaded and unloaded when the test says so."""

    def __init__(self, name: str) -> None:
        self.name, self.open = name, 0
        self.loading: asyncio.Future[int] | None = None
        self.unloading: asyncio.Future[None] | None = None
        self.there = False
        self.loads = self.unloads = 0

    @property
    def busy(self) -> bool:
        return self.open > 0

    async def load(self) -> int:
        assert not self.there and self.loading is None and self.unloading is None
        self.loading = asyncio.get_running_loop().create_future()
        try:
            measured = await self.loading
        finally:
            self.loading = None
        self.there, self.loads = True, self.loads + 1
        return measured

    async def unload(self) -> None:
        assert self.there and not self.busy, "a model that answers was unloaded"
        self.unloading = asyncio.get_running_loop().create_future()
        self.there, self.unloads = False, self.unloads + 1
        await self.unloading
        self.unloading = None


class House:
    """Some models, a budget, and requests that wait, answer and end."""

    def __init__(self, needs: dict[str, int], budget: int) -> None:
        self.models = {name: Model(name) for name in needs}
        self.places = {name: Resident(self.models[name], need) for name, need in needs.items()}
        self.now = 0.0  # seconds
        self.residency = Residency(budget, list(self.places.values()), clock=lambda: self.now)
        self.waiting: dict[asyncio.Task[None], str] = {}
        self.answering: list[str] = []
        self.ended = dict.fromkeys(("answered", "cancelled", "refused"), 0)

    def ask(self, name: str) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._ask(name))
        self.waiting[task] = name
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        self.waiting.pop(task)
        if task.cancelled():
            self.ended["cancelled"] += 1
        elif task.exception() is not None:
            assert isinstance(task.exception(), EngineError), task.exception()
            self.ended["refused"] += 1

    async def _ask(self, name: str) -> None:
        await self.residency.enter(self.places[name])
        try:
            assert self.models[name].there, "a request was sent to a model that is not loaded"
            self.models[name].open += 1
            self.answering.append(name)
        finally:
            self.residency.leave(self.places[name])

    def end(self, index: int) -> None:
        name = self.answering.pop(index)
        self.models[name].open -= 1
        self.ended["answered"] += 1
        if not self.models[name].open:
            self.residency.settle()

    def finish(self, name: str, *, measured: int = 0, error: Exception | None = None) -> None:
        """The loading or the unloading of a model is done."""
        model = self.models[name]
        if model.loading is not None and not model.loading.done():
            if error is None:
                model.loading.set_result(measured)
            else:
                model.loading.set_exception(error)
        elif model.unloading is not None and not model.unloading.done():
            model.unloading.set_result(None)

    def check(self, *, over: bool = False) -> None:
        for name, place in self.places.items():
            model = self.models[name]
            assert place.holders >= 0 and (model.there or place.place != "loaded")
            assert model.there or not model.busy, "a model that answers was unloaded"
            assert not (place.place == "loaded" and not place.leaving and place.waiters), "waits for what is there"
        assert over or self.residency.taken <= self.residency.budget

    async def settle(self, *, over: bool = False) -> None:
        for _ in range(6):
            await asyncio.sleep(0)
        self.check(over=over)


def run(work: Callable[[House], Awaitable[None]], needs: dict[str, int], budget: int) -> House:
    house = House(needs, budget)

    async def main() -> None:
        async with asyncio.timeout(30):
            await work(house)

    asyncio.run(main())
    return house


@pytest.mark.parametrize("seed", range(40))
def test_no_history_loses_a_request_or_overfills_the_memory(seed: int) -> None:
    chance = random.Random(seed)
    over = seed % 2 == 1  # in these, a loaded model may turn out to take more than was thought
    needs = {name: chance.choice([1, 2, 3, 5]) for name in "abcde"} | {"huge": 99}

    async def work(house: House) -> None:
        asked = 0
        for _ in range(400):
            match chance.choice(["ask", "ask", "ask", "end", "end", "cancel", "finish", "finish", "fail"]):
                case "ask":
                    asked += 1
                    house.ask(chance.choice([*"aaabbcde", "huge"]))
                case "end" if house.answering:
                    house.end(chance.randrange(len(house.answering)))
                case "cancel" if house.waiting:
                    chance.choice(list(house.waiting)).cancel()
                case "finish":
                    house.finish(chance.choice("abcde"), measured=chance.choice([0, 0, 3 if over else 0]))
                case "fail":
                    house.finish(chance.choice("abcde"), error=CreusetError("`x` is damaged"))
            house.now += chance.choice([0.0, 0.1, 100.0])
            for _ in range(chance.randrange(4)):  # some histories go on before all has been noticed
                await asyncio.sleep(0)
            if chance.random() < 0.2:
                await house.settle(over=over)
            house.check(over=over)
        # Whoever still waits gets the model once the others end.
        for _ in range(400):
            for name in needs:
                house.finish(name)
            if house.answering:
                house.end(0)
            await house.settle(over=over)
        assert not house.waiting and not house.answering
        assert asked == sum(house.ended.values())
        assert all(place.idle and not place.waiters for place in house.places.values())

    house = run(work, needs, 6)
    assert house.ended["answered"] > 20 and house.ended["refused"] > 0 and house.ended["cancelled"] > 0
    assert house.models["huge"].loads == 0


def test_the_least_used_idle_model_goes_first() -> None:
    async def work(house: House) -> None:
        for name in "abab":
            house.ask(name)
            await house.settle()
            house.finish(name)
            await house.settle()
            house.end(0)
        house.ask("a")  # used last
        await house.settle()
        house.end(0)
        house.ask("c")
        await house.settle()
        assert [place.place for place in house.places.values()] == ["loaded", "unloading", "unloaded"]
        house.finish("b")
        await house.settle()
        house.finish("c")
        await house.settle()
        assert house.answering == ["c"] and house.models["a"].unloads == 0

    run(work, {"a": 1, "b": 1, "c": 1}, 2)


def test_an_idle_model_goes_before_a_busy_one_that_was_asked_earlier() -> None:
    async def work(house: House) -> None:
        for name in "ab":
            house.ask(name)
            await house.settle()
            house.finish(name)
            await house.settle()
        house.end(1)  # `b` is idle, and was used later than `a`, which still answers
        house.ask("c")
        await house.settle()
        assert [house.places[name].place for name in "abc"] == ["loaded", "unloading", "unloaded"]
        assert not house.places["a"].leaving

    run(work, {"a": 1, "b": 1, "c": 1}, 2)


def test_a_busy_model_ends_its_requests_first_and_new_ones_wait_behind_the_other() -> None:
    async def work(house: House) -> None:
        house.ask("a")
        await house.settle()
        house.finish("a")
        await house.settle()
        house.ask("b")
        house.ask("a")  # comes while `a` is wanted away
        await house.settle()
        assert house.answering == ["a"] and len(house.waiting) == 2 and house.models["a"].there
        house.end(0)
        await house.settle()
        assert not house.models["a"].there and house.places["b"].place == "unloaded", "`a` still takes its memory"
        house.finish("a")
        await house.settle()
        house.finish("b")
        await house.settle()
        assert house.answering == ["b"] and list(house.waiting.values()) == ["a"]
        house.end(0)
        await house.settle()
        house.finish("b")
        await house.settle()
        house.finish("a")
        await house.settle()
        assert house.answering == ["a"] and not house.waiting

    run(work, {"a": 1, "b": 1}, 1)


def test_whoever_leaves_gives_its_place_and_the_model_that_was_to_go_stays() -> None:
    async def work(house: House) -> None:
        house.ask("a")
        await house.settle()
        house.finish("a")
        await house.settle()
        leaver, other = house.ask("b"), house.ask("a")
        await house.settle()
        assert not other.done()
        leaver.cancel()
        await house.settle()
        assert house.answering == ["a", "a"] and house.models["a"].unloads == 0 and house.models["b"].loads == 0

    assert run(work, {"a": 1, "b": 1}, 1).ended["cancelled"] == 1


def test_a_model_that_cannot_be_loaded_refuses_its_own_requests_and_no_other() -> None:
    async def work(house: House) -> None:
        house.ask("a"), house.ask("b"), house.ask("b")
        await house.settle()
        house.finish("b", error=CreusetError("`w.safetensors` is cut"))
        house.finish("a")
        await house.settle()
        assert house.ended["refused"] == 2 and house.answering == ["a"] and house.places["b"].place == "unloaded"
        house.now += RETRY_S
        house.ask("b")  # tried again: the file may have been repaired
        await house.settle()
        house.finish("b")
        await house.settle()
        assert house.answering == ["a", "b"]
        failing = asyncio.ensure_future(house.residency.enter(house.places["c"]))
        await house.settle()
        house.finish("c", error=CreusetError("`w.safetensors` is cut"))
        with pytest.raises(CannotLoad, match=r"c cannot be loaded: `w\.safetensors` is cut"):
            await failing

    run(work, {"a": 1, "b": 1, "c": 1}, 3)


def test_a_model_that_failed_is_left_alone_for_longer_and_longer_until_it_loads_again() -> None:
    async def work(house: House) -> None:
        place = house.places["a"]

        async def told() -> CannotLoad:
            with pytest.raises(CannotLoad) as refused:
                await house.residency.enter(place)
            return refused.value

        for wait_s in (5, 10, 20, 40, 80, 80):
            failing = asyncio.ensure_future(told())
            await house.settle()
            assert place.place == "loading"
            house.finish("a", error=CreusetError("`w.safetensors` is cut"))
            words = f"a cannot be loaded: `w.safetensors` is cut; a request in {wait_s} s or later tries again"
            assert str(await failing) == words
            house.now += wait_s - 2.5
            early = await told()  # at once, and without touching the file
            assert place.place == "unloaded" and (early.status, early.retry_after) == (503, 2.5)
            assert str(early).endswith("a request in 3 s or later tries again")
            assert house.residency.taken == 0
            house.now += 2.5
        house.ask("a")
        await house.settle()
        house.finish("a")
        await house.settle()
        assert house.answering == ["a"] and place.failures == 0

    run(work, {"a": 1}, 1)


def test_a_model_larger_than_the_memory_is_refused_with_both_numbers() -> None:
    async def work(house: House) -> None:
        with pytest.raises(DoesNotFit, match=r"big needs 3 GiB of memory; all models together may take 1.5 GiB") as no:
            await house.residency.enter(house.places["big"])
        assert (no.value.status, no.value.code) == (503, "model_does_not_fit")

    run(work, {"big": 3 << 30}, 3 << 29)


def test_a_model_that_takes_more_than_was_thought_sends_an_idle_one_away() -> None:
    async def work(house: House) -> None:
        for name in "ab":
            house.ask(name)
            await house.settle()
            house.finish(name, measured=1 if name == "a" else 2)
            await house.settle(over=True)
            house.end(0)
        assert house.places["a"].place == "unloading" and house.places["b"].place == "loaded"

    run(work, {"a": 1, "b": 1}, 2)


def test_stopping_refuses_whoever_waits() -> None:
    async def work(house: House) -> None:
        house.ask("a"), house.ask("b")
        await house.settle()
        await house.residency.close()
        await house.settle()
        assert house.ended["refused"] == 2 and not house.waiting
        with pytest.raises(EngineError, match="the server is stopping"):
            await house.residency.enter(house.places["a"])

    run(work, {"a": 1, "b": 1}, 1)
