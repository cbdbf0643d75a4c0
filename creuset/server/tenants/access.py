"""Which scope an address needs. What belongs to whom is looked at by the route itself."""

from creuset.core.errors import Forbidden
from creuset.types.tenants import INFERENCE, OPERATIONS_READ, SCIM, SCOPES, Caller

ANY = (
    "/openapi.json", "/v1/creuset/me", "/v1/creuset/keys", "/v1/creuset/privacy",
    "/v1/creuset/organization", "/v1/organization", "/v1/projects",
    "/auth",
)  # fmt: skip
NEEDS = (("/metrics", OPERATIONS_READ), ("/scim", SCIM))


class MissingScope(Forbidden):
    code = "missing_scope"


def check_scope(who: Caller, path: str) -> None:
    """Raises MissingScope where `who` may not ask at `path`. Administration checks by route: it needs more than one."""
    if any(path == one or path.startswith(one + "/") for one in ANY):
        return
    for start, scope in NEEDS:
        if path == start or path.startswith(start + "/"):
            return need(who, scope)
    need(who, INFERENCE)


def need(who: Caller, scope: str, *, told: tuple[str, ...] = ()) -> None:
    """Raises MissingScope unless `who` has `scope`. `told`: others that would do in another place."""
    if scope not in who.scopes:
        wanted = " or ".join(f"`{one}`" for one in (scope, *told))
        raise MissingScope(f"this needs the scope {wanted}, to {SCOPES[scope]}")
