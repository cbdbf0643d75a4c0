"""Tables of routes. Times are microseconds since 1970, days are numbers such as 20260131."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from creuset.server.database import META


def _ref(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=False, primary_key=key)


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, String(256), nullable=False, primary_key=key)


def _count(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=False, primary_key=key, autoincrement=False)


NAME_CALLS = Table(  # who still asks for a name that is deprecated or has ended
    "name_calls", META, _text("name", key=True), _ref("organization", key=True), _ref("key", key=True),
    _count("day", key=True), _ref("project"), _ref("user"), _ref("service_account"), _count("calls"),
    _count("refused"), _count("last"),
)  # fmt: skip
LEASES = Table(  # requests that a replica has running at a target; gone when `expires` has passed
    "target_leases", META, _ref("replica", key=True), _text("target", key=True), Column("running", Integer,
    nullable=False), _count("expires"),
)  # fmt: skip
UPSTREAM_KEYS = Table(  # of tenants, for a server that a route names; encrypted
    "upstream_keys", META, _ref("id", key=True), _ref("organization"), _ref("project"), _ref("upstream"),
    Column("sealed", LargeBinary, nullable=False), _count("created"), _ref("created_by"),
)  # fmt: skip
