"""Places at another server: as many as there are, by class, none lost when somebody leaves."""

import asyncio
import random

import pytest

from creuset.server.engines.turns import TurnGate


@pytest.mark.parametrize("seed", range(10))
def test_no_place_is_lost_or_given_twice_whoever_leaves(seed: int) -> None:
    rng = random.Random(seed)
    gate, running, most = TurnGate(3), 0, 0

    async def work(tier: str) -> None:
        nonlocal running, most
        async with gate.place(tier):
            running += 1
            most = max(most, running)
            try:
                for _ in range(rng.randint(0, 4)):
                    await asyncio.sleep(0)
            finally:
                running -= 1

    async def run() -> None:
        tasks = []
        for _ in range(120):
            tasks.append(asyncio.create_task(work(rng.choice(["priority", "default", "flex"]))))
            if rng.random() < 0.5:
                await asyncio.sleep(0)
            if rng.random() < 0.3:
                rng.choice(tasks).cancel()
        async with asyncio.timeout(5):
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert any(isinstance(one, asyncio.CancelledError) for one in results)
        assert running == 0
        async with asyncio.timeout(5):
            for _ in range(4):  # all three places are there again
                await asyncio.gather(*(work("default") for _ in range(3)))

    asyncio.run(run())
    assert most <= 3


def test_priority_goes_before_flex_that_waits_longer() -> None:
    async def run() -> list[str]:
        gate, told = TurnGate(1), []

        async def work(tier: str) -> None:
            async with gate.place(tier):
                told.append(tier)
                await asyncio.sleep(0)

        async with gate.place():
            tasks = [asyncio.create_task(work(tier)) for tier in ["flex"] * 6 + ["priority"] * 6]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return told

    told = asyncio.run(run())
    assert told.count("flex") == 6 and told[:7].count("priority") >= 5 and "flex" in told[:9]
