"""The rules of data protection of an organization and its projects, as an officer sets them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from creuset.core.errors import Forbidden, RequestError
from creuset.server.protect.tables import ERASURES, RULES
from creuset.types.tenants import PLAIN_POLICY, Caller, Demand, Policy

if TYPE_CHECKING:
    from creuset.server.tenants.directory.change import Change

LONGEST_DAYS = 36_500
WHOLE = ""  # in the place of a project: the rules of the whole organization


class PrivacyRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is said of one project, or of the organization; empty: nothing."""

    keeps: bool = True  # False: zero retention
    days: int | None = None
    demand: Demand | None = None
    guards: list[dict[str, Any]] = []

    def __post_init__(self) -> None:
        if self.days is not None and not 1 <= self.days <= LONGEST_DAYS:
            raise ValueError(f"`days` must be between 1 and {LONGEST_DAYS}, got {self.days}")


class ZeroRetention(Forbidden):
    """Nothing may be kept in this project, and this request needs that something is."""

    code = "zero_data_retention"


def refuse_keeping(who: Caller | None, what: str) -> None:
    """Raises ZeroRetention for `what` where nothing of `who` may be kept."""
    if who is not None and not who.policy.keeps:
        raise ZeroRetention(f"{what} would be kept, and this project keeps nothing (zero data retention)")


def rules_of(connection: Connection, organization: str, project: str = WHOLE) -> PrivacyRules:
    here = (RULES.c.organization == organization, RULES.c.project == project)
    found = connection.execute(select(RULES.c.body).where(*here)).scalar()
    return PrivacyRules() if found is None else msgspec.json.decode(found, type=PrivacyRules)


def set_rules(change: "Change", organization: str, project: str, **values: Any) -> PrivacyRules:
    """Change what `values` name. RequestError for a value that cannot be."""
    from creuset.server.tenants.directory.projects import project_of

    if project != WHOLE:
        project_of(change.connection, organization, project)
    try:
        merged = msgspec.to_builtins(rules_of(change.connection, organization, project)) | values
        rules = msgspec.convert(merged, PrivacyRules)
    except (ValueError, msgspec.ValidationError) as error:
        raise RequestError(f"these rules cannot be: {error}") from None
    here = (RULES.c.organization == organization, RULES.c.project == project)
    change.connection.execute(delete(RULES).where(*here))
    change.connection.execute(insert(RULES).values(
        organization=organization, project=project, body=msgspec.json.encode(rules).decode(), changed=change.now
    ))  # fmt: skip
    told = {"id": project or organization, "changes_requested": {"privacy": msgspec.to_builtins(rules)}}
    kind = "project.updated" if project else "organization.updated"
    change.audit(organization, kind, told, project or None)
    return rules


class Policies:
    """The policy of each project: its own rules and those of its organization, of which the stricter holds."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute(select(RULES.c.organization, RULES.c.project, RULES.c.body))
        self._rules = {(row[0], row[1]): msgspec.json.decode(row[2], type=PrivacyRules) for row in rows}

    def of(self, organization: str, project: str) -> Policy:
        return merged(self._rules, organization, project) if self._rules else PLAIN_POLICY


def merged(rules: Mapping[tuple[str, str], PrivacyRules], organization: str, project: str) -> Policy:
    said = [rules[place] for place in dict.fromkeys(((organization, WHOLE), (organization, project))) if place in rules]
    days = [one.days for one in said if one.days is not None]
    return Policy(
        keeps=all(one.keeps for one in said),
        days=min(days) if days else None,
        demands=tuple(one.demand for one in said if one.demand is not None),
        guards=tuple(msgspec.json.encode(one.guards).decode() for one in said if one.guards),
    )


def closed_organizations(connection: Connection) -> frozenset[str]:
    """Those that were closed: their keys and sessions work no more."""
    here = ERASURES.c.kind == "organization"
    return frozenset(connection.execute(select(ERASURES.c.subject).where(here)).scalars())
