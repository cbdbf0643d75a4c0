"""Who asks: the words that keys, limits, prices and the routes share.

A key belongs to a user or to a service account, and works in one project of one organization. What it may do is a set
of scopes; a role is a named set of them.
"""

import msgspec

INFERENCE = "inference"
USAGE_READ = "usage.read"
ADMIN_READ = "admin.read"
ADMIN_WRITE = "admin.write"
PROJECT_READ = "project.read"
PROJECT_WRITE = "project.write"
OPERATIONS_READ = "operations.read"
SCIM = "scim"

# What each scope allows. The last two are given on the machine of the server only: they reach beyond one organization,
# or belong to a program that creates and removes people.
SCOPES = {
    INFERENCE: "ask models, and read, continue and delete what was kept for the same person in the same project",
    USAGE_READ: "read usage and costs of the own organization",
    ADMIN_READ: "read projects, people, keys and roles of the own organization",
    ADMIN_WRITE: "change them",
    PROJECT_READ: "read members, service accounts and keys of the own project",
    PROJECT_WRITE: "change them",
    OPERATIONS_READ: "read the metrics of the whole server",
    SCIM: "create, change and remove people and groups by SCIM",
}
GRANTABLE = frozenset(SCOPES) - {OPERATIONS_READ, SCIM}  # by a role
OF_PROJECT = frozenset({INFERENCE, PROJECT_READ, PROJECT_WRITE})  # by a role within one project


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request may be answered. None: anywhere. Countries as FR, laws as EU."""

    countries: tuple[str, ...] | None = None
    operators: tuple[str, ...] | None = None
    laws: tuple[str, ...] | None = None  # each law that the operator obeys must be among these


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the data protection rules of a project, and of its organization, say. Both hold together."""

    keeps: bool = True  # False: nothing that people say is kept
    days: int | None = None  # content is deleted after so many days. None: when somebody deletes it
    demands: tuple[Demand, ...] = ()
    guards: tuple[str, ...] = ()  # settings of guards, JSON text: guards/settings.py


PLAIN_POLICY = Policy()


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who a key, or a session of the page, stands for. Ids only: never the key itself."""

    owner: str  # whose kept things these are: one person, or one service account, in one project
    key: str  # the id of the key, or of the session
    organization: str = ""
    project: str = ""
    user: str = ""  # this or the next one
    service_account: str = ""
    groups: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset({INFERENCE})
    models: frozenset[str] | None = None  # names that may be asked for; None: all
    denied: frozenset[str] = frozenset()  # names that may not, whatever `models` says
    policy: Policy = PLAIN_POLICY

    def allows(self, model: str) -> bool:
        """Whether the model of this name may be asked for."""
        return model not in self.denied and (self.models is None or model in self.models)

    def subjects(self) -> tuple[tuple[str, str], ...]:
        """Those whose limits and budgets a request counts against, as (kind, id), from the narrowest to the widest."""
        found = [("key", self.key), ("user", self.user), ("service_account", self.service_account)]
        found += [("group", group) for group in self.groups]
        found += [("project", self.project), ("organization", self.organization)]
        return tuple((kind, id) for kind, id in found if id)
