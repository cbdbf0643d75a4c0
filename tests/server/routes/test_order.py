"""Which target is asked first: by order, by weight, and by room."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from creuset.core.errors import ConfigError
from creuset.server.routes.config import RoutesFile
from creuset.server.routes.leases import TargetLeases
from creuset.server.routes.router import build_router


class Named:
    """An engine of which only the name matters."""

    def __init__(self, settings: Any) -> None:
        self.settings, self.names, self.state = settings, settings.names, "ready"

    @property
    def name(self) -> str:
        return str(self.names[0])


def built(targets: list[dict[str, Any]], **more: Any) -> Any:
    said = {"upstreams": {"u": {"url": "https://u.example/v1", "at_a_time": 10}}, "routes": {"r": {"targets": targets}}}
    return build_router(msgspec.convert(said | more, RoutesFile), [], Named, leases=TargetLeases("one"))  # type: ignore[arg-type]


def far(model: str, **more: Any) -> dict[str, Any]:
    return {"upstream": "u", "model": model, **more}


def test_requests_are_shared_by_weight_within_an_order() -> None:
    router = built([far("a", weight=3), far("b"), far("c", order=2, weight=99)])
    router.rng.seed(7)
    firsts = Counter(router.order(router.routes["r"], None)[0].id for _ in range(4000))
    assert set(firsts) == {"u/a", "u/b"} and abs(firsts["u/a"] - 3000) < 4 * (4000 * 3 / 16) ** 0.5
    assert {router.order(router.routes["r"], None)[2].id for _ in range(50)} == {"u/c"}


def test_a_target_that_is_nearly_full_comes_first_less_often_and_a_full_one_is_passed_by() -> None:
    router = built([far("a"), far("b")])
    router.rng.seed(7)
    for _ in range(9):
        router.leases.take("u/a")
    firsts = Counter(router.order(router.routes["r"], None)[0].id for _ in range(1000))
    assert firsts["u/a"] < 160, "a tenth of the room, against a whole one"
    router.leases.take("u/a")
    a, b = router.routes["r"].targets
    assert (router.objection(a, None, None), router.objection(b, None, None)) == ("overload", None)
    assert router.objection(b, None, "policy") == "policy", "nobody wrote that it may stand in for a filter"


@pytest.mark.parametrize(("names", "said"), [
    ({"x": {"alias_of": "nobody"}}, "`names.x.alias_of`: nothing here is called `nobody`"),
    ({"r": {"successor": "nobody"}}, "`names.r.successor`: nothing here is called `nobody`"),
    ({"x": {"deprecated": "2030-01-01"}}, "`names.x`: nothing here is called so"),
])  # fmt: skip
def test_a_name_that_leads_nowhere_stops_the_server_from_starting(names: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        built([far("a")], names=names)
    with pytest.raises(ConfigError, match=r"`routes.r.targets\[0\]`: no model here is called `mini`"):
        built([{"model": "mini"}])
