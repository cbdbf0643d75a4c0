"""The tables of limits and money. Times are microseconds since 1970; amounts of money are millionths of a currency.

`ledger` and `usage_lines` are only ever added to. `holds` has what is reserved at this moment, `counters` what was
counted against each limit: both follow from the ledger, and are kept because nobody can add it up at each request.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, UniqueConstraint

from creuset.server.database import META


def _ref(name: str, *, null: bool = False, key: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=null, primary_key=key)


def _count(name: str, *, null: bool = False, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null, primary_key=key, autoincrement=False)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, String, nullable=null)


def _told(name: str) -> Column[str]:
    """Who answered, and where."""
    return Column(name, String, nullable=False, server_default="")


STATE = Table(  # one row; `version` grows whenever limits, alerts or prices change
    "money_state", META, Column("id", Integer, primary_key=True), _count("version"),
)  # fmt: skip
LIMITS = Table(  # limits.Limit
    "limits", META, _ref("id", key=True), _ref("organization"), _ref("kind"), _ref("subject"), _text("model"),
    _ref("what"), _ref("window"), _text("zone"), _count("amount", null=True), _count("burst", null=True),
    _ref("currency"), _count("created"),
)  # fmt: skip
COUNTERS = Table(  # limits.LimitCounter, of one limit for one subject
    "counters", META, _ref("limit", key=True), _ref("subject", key=True),
    _count("period"), _count("full"), _count("spent"), _count("held"),
)  # fmt: skip
HOLDS = Table(
    "holds", META, Column("request", String(128), primary_key=True), _ref("replica"), _count("at"), _text("body"),
)  # fmt: skip
REPLICAS = Table("replicas", META, _ref("id", key=True), _count("seen"))
USAGE = Table(  # one row a request that used something
    "usage_lines", META,
    Column("request", String(128), primary_key=True), _count("at"), _ref("organization"), _ref("project"), _ref("user"),
    _ref("service_account"), _ref("key"), _text("groups"), _text("model"), _ref("kind"), _ref("tier"),
    _count("input"), _count("cached"), _count("cache_write"), _count("output"), _count("reasoning"),
    _count("cost"), _ref("currency"), _text("price"), _ref("status"), Column("estimated", Boolean, nullable=False),
    _told("asked"), _told("target"), _told("country"), _told("operator"), _told("law"),
    Index("ix_usage_lines_at", "organization", "at"),
)  # fmt: skip
LEDGER = Table(  # double entry: the lines of one request and one step add up to 0
    "ledger", META,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("request", String(128), nullable=False), _ref("step"), _text("account"), _text("item"),
    _count("at"), _count("amount"), _count("quantity"), _ref("currency"), _text("price"),
    UniqueConstraint("request", "step", "account", "item"),
)  # fmt: skip
PRICES = Table(  # each version that a line of the ledger names, and prices that an administrator has set
    "price_versions", META, Column("version", String(128), primary_key=True), _count("since"),
    Column("set", Boolean, nullable=False), _text("body"),
)  # fmt: skip
ALERTS = Table(
    "spend_alerts", META, _ref("id", key=True), _ref("organization"), _ref("limit"), _count("threshold"),
    _count("share", null=True), _text("channel"), _count("created"),
)  # fmt: skip
SENT = Table(  # an alert is told once in each period
    "alerts_sent", META, _ref("alert", key=True), _ref("subject", key=True), _count("period", key=True), _count("at"),
    _ref("state"),
)  # fmt: skip
