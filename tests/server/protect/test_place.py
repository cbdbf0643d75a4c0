"""Demands on where a request is answered: met, unmet, not stated; and on a real server."""

from pathlib import Path

import pytest

from creuset.server.protect.place import unlawful
from creuset.server.protect.privacy.rules import set_rules
from creuset.types.served import Jurisdiction
from creuset.types.tenants import Caller, Demand, Policy

from ..conftest import NAME, start
from .conftest import House

PARIS = Jurisdiction(country="FR", operator="Acme", law=("EU", "FR"))


def who(*demands: Demand) -> Caller:
    return Caller(owner="p/u", key="k", policy=Policy(demands=demands))


@pytest.mark.parametrize(
    ("demand", "place", "words"),
    [
        (Demand(), Jurisdiction(), ""), (Demand(countries=("FR",)), PARIS, ""),
        (Demand(countries=("fr", "DE")), PARIS, ""),
        (Demand(laws=("EU", "FR")), PARIS, ""), (Demand(operators=("acme",)), PARIS, ""),
        (Demand(countries=("DE",)), PARIS, "only where the country is DE; of this model it is FR"),
        (Demand(laws=("FR",)), PARIS, "the law is FR; of this model it is EU, FR"),
        (Demand(operators=("Other",)), PARIS, "the operator is Other; of this model it is Acme"),
        (Demand(countries=("FR",)), Jurisdiction(), "of this model it is not stated"),
        (Demand(laws=("EU",)), Jurisdiction(country="FR"), "of this model it is not stated"),
    ],
)  # fmt: skip
def test_a_place_meets_a_demand_or_it_is_said_why_not(demand: Demand, place: Jurisdiction, words: str) -> None:
    found = unlawful(who(demand), place)
    assert found == "" if not words else words in found
    assert unlawful(None, place) == "" == unlawful(who(), place)
    assert bool(unlawful(who(demand, Demand(countries=("XX",))), place)), "all demands hold together"


def test_without_a_lawful_target_the_request_fails_and_says_so(house: House, folder: Path) -> None:
    key = house.key()[1]
    server = start(folder, people=house.directory)
    try:
        own = server.client(headers={"x-api-key": key})
        asked = {
            "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
            "/v1/responses": {"input": "hi"},
            "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9},
            "/v1/completions": {"prompt": "hi"}, "/v1/embeddings": {"input": "hi"},
        }  # fmt: skip
        house.do(set_rules, house.a, "", demand={"countries": ["FR"]})
        for path, body in asked.items():
            reply = own.post(path, json={"model": NAME, **body})
            assert reply.status_code == 403 and "only where the country is FR" in reply.text, reply.text
        house.do(set_rules, house.a, "", demand=None)
        assert own.post("/v1/responses", json={"model": NAME, "input": "hi"}).status_code == 200
    finally:
        server.close()
