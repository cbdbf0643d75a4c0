"""`creuset people`: organizations, projects and people, on the machine of the server.

`setup` makes an organization, its first project and its first owner: there is no other way to begin, no master key and
no password that is there from the start. Exit codes: 0 done, 2 what was asked cannot be.
"""

import argparse
import getpass
import sys

from creuset.cli.numbers import integer
from creuset.cli.tenants.directory import Row, add_place, named, opened, organization_of, tell
from creuset.core.errors import ConfigError
from creuset.server.tenants.directory import tables
from creuset.server.tenants.directory.audit import COMMAND_LINE, problems
from creuset.server.tenants.directory.change import Change
from creuset.server.tenants.directory.people import checked_email, create_user, remove_user, update_user
from creuset.server.tenants.directory.projects import (
    add_member,
    create_organization,
    create_project,
    create_service_account,
    set_project_models,
    set_sign_on,
)
from creuset.server.tenants.directory.rows import every

ROLES = ("owner", "reader")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="action", required=True, metavar="action")
    setup = verbs.add_parser("setup", help="an organization, its first project and its first owner")
    setup.add_argument("name", metavar="ORGANIZATION")
    setup.add_argument("--email", required=True, metavar="ADDRESS", help="of the owner")
    add = verbs.add_parser("add", help="a person")
    add.add_argument("email", metavar="ADDRESS")
    add.add_argument("--role", choices=ROLES, default="reader", help="an owner may change everything (default: reader)")
    for parser in (setup, add):
        parser.add_argument("--name", dest="full_name", default="", metavar="NAME", help="of the person")
    add.add_argument("--project", metavar="NAME", help="a project they may use")
    listed = verbs.add_parser("list", help="people, or projects, groups and service accounts")
    listed.add_argument("what", nargs="?", default="people", choices=("people", "projects", "groups", "accounts"))
    remove = verbs.add_parser("remove", help="a person: their keys and sessions stop")
    remove.add_argument("email", metavar="ADDRESS")
    password = verbs.add_parser("password", help="set a person's password, asked for or read from stdin")
    password.add_argument("email", metavar="ADDRESS")
    project = verbs.add_parser("project", help="a project")
    project.add_argument("project", metavar="NAME")
    project.add_argument("--only", action="append", default=[], metavar="MODEL", help="the models it may ask; repeated")
    account = verbs.add_parser("account", help="a service account: whom a program's keys belong to")
    account.add_argument("account", metavar="NAME")
    account.add_argument("--project", metavar="NAME", help="where it works (default: the only one)")
    oidc = verbs.add_parser("oidc", help="let people sign on at an OpenID Connect provider")
    oidc.add_argument("issuer", metavar="URL")
    oidc.add_argument("--client-id", required=True, metavar="ID")
    oidc.add_argument("--secret-env", default="", metavar="VAR", help="the server's environment variable of the secret")
    oidc.add_argument("--url", default="", metavar="URL", help="of this server, as browsers know it")
    oidc.add_argument("--groups-claim", default="groups", metavar="NAME", help="of the ID token (default: groups)")
    oidc.add_argument(
        "--map", action="append", default=[], metavar="THEIRS=OURS",
        help="a group of the provider makes an `owner`, or is the group OURS; repeated",
    )  # fmt: skip
    oidc.add_argument("--known-only", action="store_true", help="make no new people")
    audit = verbs.add_parser("audit", help="what was changed by whom, and whether the log is whole")
    audit.add_argument("--last", type=integer("[1, inf)"), default=20, metavar="N", help="(default: %(default)s)")
    for one in (setup, add, listed, remove, password, project, account, oidc, audit):
        add_place(one)


def main(args: argparse.Namespace) -> int:
    return {
        "setup": _setup, "add": _add, "list": _list, "remove": _remove, "password": _password, "project": _project,
        "account": _account, "oidc": _oidc, "audit": _audit,
    }[args.action](args)  # fmt: skip


def _setup(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        email = checked_email(args.email)
        organization, project = create_organization(change, args.name)
        owner = create_user(change, organization["id"], email, args.full_name, "owner")
        return {"organization": organization["id"], "project": project["id"], "owner": owner["id"]}

    with opened(args, make=True) as directory:
        found = directory.change(COMMAND_LINE, work)
    next_one = f"creuset keys create NAME --user {args.email}"
    tell(args, found, f"{args.name}: {found['organization']}, owner {args.email}. A key for them: {next_one}")
    return 0


def _add(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        user = create_user(change, organization, args.email, args.full_name, args.role)
        if args.project is not None:
            add_member(change, organization, project_named(change, organization, args.project), "user", user["id"])
        return {"user": user["id"], "email": user["email"]}

    with opened(args) as directory:
        tell(args, directory.change(COMMAND_LINE, work))
    return 0


def _list(args: argparse.Namespace) -> int:
    shown = {
        "people": (tables.USERS, ("id", "email", "name", "role", "active")),
        "projects": (tables.PROJECTS, ("id", "name", "archived", "models")),
        "groups": (tables.GROUPS, ("id", "name", "models")),
        "accounts": (tables.SERVICE_ACCOUNTS, ("id", "name", "role", "project")),
    }  # fmt: skip
    table, columns = shown[args.what]
    with opened(args) as directory, directory.database.reading() as connection:
        rows = every(connection, table, organization_of(connection, args.organization), order=[table.c.created])
        tell(args, [{name: row[name] for name in columns} for row in rows])
    return 0


def _remove(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        user = user_named(change, organization, args.email)
        remove_user(change, organization, user)
        return {"removed": user}

    with opened(args) as directory:
        tell(args, directory.change(COMMAND_LINE, work))
    return 0


def _password(args: argparse.Namespace) -> int:
    from creuset.server.tenants.signon.passwords import encoded  # a package that others do without

    given = getpass.getpass("new password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    password = encoded(given)

    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        user = user_named(change, organization, args.email)
        update_user(change, organization, user, password=password)
        return {"user": user}

    with opened(args) as directory:
        tell(args, directory.change(COMMAND_LINE, work), f"{args.email} can sign on")
    return 0


def _project(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        project = create_project(change, organization, args.project)
        if args.only:
            set_project_models(change, organization, project["id"], "allow_list", args.only)
        return {"project": project["id"], "name": args.project}

    with opened(args) as directory:
        tell(args, directory.change(COMMAND_LINE, work))
    return 0


def _account(args: argparse.Namespace) -> int:
    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        project = project_named(change, organization, args.project)
        row = create_service_account(change, organization, project, args.account)
        return {"service_account": row["id"], "name": row["name"], "project": project}

    with opened(args) as directory:
        tell(args, directory.change(COMMAND_LINE, work))
    return 0


def _oidc(args: argparse.Namespace) -> int:
    groups = dict(one.partition("=")[::2] for one in args.map)
    if not all(theirs and ours for theirs, ours in groups.items()):
        raise ConfigError(f"--map {args.map[0]}: it is THEIRS=OURS")
    told = {
        "issuer": args.issuer, "client_id": args.client_id, "secret_env": args.secret_env, "url": args.url,
        "groups_claim": args.groups_claim, "groups": groups, "create": not args.known_only,
    }  # fmt: skip

    def work(change: Change) -> Row:
        organization = organization_of(change.connection, args.organization)
        for name in sorted(set(groups.values()) - {"owner"}):
            named(every(change.connection, tables.GROUPS, organization), name, "group", "name")
        set_sign_on(change, organization, told)
        return {"organization": organization, "issuer": args.issuer}

    with opened(args) as directory:
        tell(args, directory.change(COMMAND_LINE, work))
    return 0


def _audit(args: argparse.Namespace) -> int:
    with opened(args) as directory, directory.database.reading() as connection:
        organization = organization_of(connection, args.organization)
        rows = every(connection, tables.AUDIT, organization, order=[tables.AUDIT.c.at])[-args.last :]
        tell(args, [{name: row[name] for name in ("effective", "type", "actor", "body")} for row in rows])
        if found := problems(connection, organization):
            raise ConfigError("the audit log is not whole: " + "; ".join(found))
    return 0


def user_named(change: Change, organization: str, given: str) -> str:
    return str(named(every(change.connection, tables.USERS, organization), given.lower(), "person", "email")["id"])


def project_named(change: Change, organization: str, given: str | None) -> str:
    rows = every(change.connection, tables.PROJECTS, organization, tables.PROJECTS.c.archived.is_(None))
    if given is None and len(rows) == 1:
        return str(rows[0]["id"])
    if given is None:
        raise ConfigError("which project? " + ", ".join(row["name"] for row in rows), hint="name it with --project")
    return str(named(rows, given, "project", "name")["id"])
