"""A model without a price, where money limits its caller."""

import asyncio

import pytest

from creuset.server.database import Database
from creuset.server.tenants.gate import Hold
from creuset.server.tenants.money.refusals import ModelWithoutPrice

from .conftest import caller, limit, set_limits
from .test_books import opened


@pytest.mark.parametrize(("what", "name"), [("money", "nobody-priced-me"), ("money", "gpt-4o"), ("tokens", "nobody")])
def test_a_model_without_a_price_does_not_pass_a_budget_by(what: str, name: str) -> None:
    async def ask() -> Hold:
        database = Database()
        set_limits(database, limit(kind="organization", subject="org", what=what, window="month", amount=10**6))
        gate = opened(database)
        await gate.start()
        try:
            hold = await gate.admit(caller(), (name,), request="r", prompt_tokens=5, max_tokens=5)
            hold.release()
        finally:
            await gate.stop()
            database.close()
        return hold

    if (what, name) == ("money", "nobody-priced-me"):
        words = f"the model `{name}` has no price, and the budget of organization org is in USD"
        with pytest.raises(ModelWithoutPrice, match=words):
            asyncio.run(ask())
    else:
        asyncio.run(ask())
