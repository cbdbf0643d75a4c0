"""The tables of data protection. Times are Unix seconds; a body is JSON text where nothing else is said."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table

from creuset.server.database import META


def _ref(name: str, *, null: bool = False, key: bool = False) -> Column[str]:
    return Column(name, String(64), nullable=null, primary_key=key)


def _time(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


DATA_KEYS = Table(  # what content of an organization is encrypted with; the highest number is used for what is new
    "data_keys", META, _ref("organization", key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False), _ref("master"), _time("created"), _time("retired", null=True),
)  # fmt: skip
RULES = Table(  # rules.PrivacyRules of a project, or ("") of the organization
    "privacy_rules", META, _ref("organization", key=True), _ref("project", key=True),
    Column("body", String, nullable=False), _time("changed"),
)  # fmt: skip
HOLDS = Table(  # what is under a legal hold is not deleted by anybody, until the hold is lifted
    "legal_holds", META, _ref("id", key=True), _ref("organization"), Column("kind", String(16), nullable=False),
    _ref("subject"), Column("reason", String, nullable=False), _time("created"), _time("lifted", null=True),
)  # fmt: skip
HELD = Table(  # rows that somebody deleted under a hold: `body` is the row as it was, msgpack
    "held_rows", META, Column("at", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _ref("organization"), Column("owner", String, nullable=False), Column("store", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False), _time("deleted"),
)  # fmt: skip
ERASURES = Table(  # of a user, a project or an organization: when it was asked for, when it is due, what was done
    "erasures", META, _ref("id", key=True), _ref("organization"), Column("kind", String(16), nullable=False),
    _ref("subject"), _time("asked"), _time("due"), _time("done", null=True), Column("receipt", String),
)  # fmt: skip
ANCHORS = Table(  # of an organization's audit log: the last entry that was removed because it was old enough
    "audit_anchors", META, _ref("organization", key=True), Column("hash", String(64), nullable=False),
    Column("removed", BigInteger, nullable=False), _time("pruned"),
)  # fmt: skip
OUTLETS = Table(  # receivers of the audit log: the last entry that was sent
    "audit_outlets", META, Column("target", String(256), primary_key=True), _time("at"),
)  # fmt: skip
