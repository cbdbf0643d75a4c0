"""The routes of data protection: OpenAI's `data_retention`, and ours under /v1/creuset/privacy."""

import asyncio
from typing import Any

from creuset.core.errors import RequestError
from creuset.server.admin.call import AdminCall, Routes, admin_route
from creuset.server.protect.privacy import erase, holds
from creuset.server.protect.privacy.export import export_user
from creuset.server.protect.privacy.retention import wipe
from creuset.server.protect.privacy.rules import WHOLE, rules_of, set_rules
from creuset.server.protect.protection import Protection
from creuset.server.protect.tables import ERASURES
from creuset.server.state import ServerState
from creuset.server.tenants.directory.projects import project_of
from creuset.server.tenants.directory.rows import Row, every

AT = "/v1/organization"
OURS = "/v1/creuset/privacy"
ZERO, PLAIN = (
    "zero_data_retention",
    "modified_abuse_monitoring",
)  # no log of ours ever has content, so the second is ours
DEFAULT, NONE = "organization_default", "none"


async def _retention(call: AdminCall, project: str, change: bool) -> Row:
    if change:
        given = call.body.text("retention_type")
        wanted = (ZERO, PLAIN) if project == WHOLE else (ZERO, PLAIN, DEFAULT, NONE)
        if given not in wanted:
            raise call.body.refuse("retention_type", f"must be one of {', '.join(wanted)}, got {given!r}")
        await call.change(lambda one: set_rules(one, call.organization, project, keeps=given != ZERO))
    rules = await call.read(lambda one: rules_of(one, call.organization, project))
    kind = "organization" if project == WHOLE else "project"
    return {"object": f"{kind}.data_retention", "type": ZERO if not rules.keeps else DEFAULT if project else PLAIN}


async def organization_retention(call: AdminCall) -> Row:
    return await _retention(call, WHOLE, call.request.method == "POST")


async def project_retention(call: AdminCall) -> Row:
    await call.read(lambda one: project_of(one, call.organization, call.project))
    return await _retention(call, call.project, call.request.method == "POST")


async def list_holds(call: AdminCall) -> Row:
    rows = await call.read(lambda one: holds.holds_of(one, call.organization, lifted=True))
    return {"object": "list", "data": [_hold(row) for row in rows]}


async def create_hold(call: AdminCall) -> Row:
    kind, subject, reason = (call.name(name) for name in ("kind", "subject", "reason"))
    return _hold(await call.change(lambda one: holds.place_hold(one, call.organization, kind, subject, reason)))


async def lift_hold(call: AdminCall) -> Row:
    id = call.place("hold_id")
    return _hold(await call.change(lambda one: holds.lift_hold(one, call.organization, id)))


def _hold(row: Row) -> Row:
    return {"object": "creuset.legal_hold"} | {name: row[name] for name in ("id", "kind", "subject", "reason")} | {
        "created_at": row["created"], "lifted_at": row["lifted"]
    }  # fmt: skip


async def list_receipts(call: AdminCall) -> Row:
    rows = await call.read(lambda one: every(one, ERASURES, call.organization, order=[ERASURES.c.asked]))
    names = {
        "id": "id",
        "kind": "what",
        "subject": "subject",
        "asked": "asked_at",
        "due": "due_at",
        "done": "erased_at",
    }
    return {"object": "list", "data": [{told: row[name] for name, told in names.items()} for row in rows]}


async def get_receipt(call: AdminCall) -> Row:
    id = call.place("receipt_id")
    return await call.read(lambda one: erase.receipt_of(one, call.organization, id))


def privacy_routes(state: ServerState) -> Routes:
    directory, protection = state.directory, state.protection
    if directory is None or protection is None:
        return []
    mine: Protection = protection

    async def export(call: AdminCall) -> Row:
        """Whoever reads all of a person may also change them, and it is noted."""
        user = call.place("user_id")
        await call.change(lambda one: one.audit(call.organization, "user.exported", {"id": user}))
        return await call.read(lambda one: export_user(one, mine.vault, call.organization, user))

    def erasing(work: Any, place: str) -> Any:
        async def handler(call: AdminCall) -> Row:
            subject = call.place(place)
            confirmed = call.body.text("confirm")
            if confirmed != subject:
                raise RequestError(
                    f"`confirm` must repeat the id: it cannot be undone, got {confirmed!r}", param="confirm"
                )
            key = await asyncio.to_thread(lambda: mine.signing_key)
            receipt: Row = await call.change(lambda one: work(one, call.organization, subject, key))
            await asyncio.to_thread(wipe, state.database.engine)
            return receipt

        return handler

    table: list[tuple[str, str, Any]] = [
        ("GET", f"{AT}/data_retention", organization_retention),
        ("POST", f"{AT}/data_retention", organization_retention),
        ("GET", f"{AT}/projects/{{project_id}}/data_retention", project_retention),
        ("POST", f"{AT}/projects/{{project_id}}/data_retention", project_retention),
        ("GET", f"{OURS}/holds", list_holds),
        ("POST", f"{OURS}/holds", create_hold),
        ("DELETE", f"{OURS}/holds/{{hold_id}}", lift_hold),
        ("GET", f"{OURS}/receipts", list_receipts),
        ("GET", f"{OURS}/receipts/{{receipt_id}}", get_receipt),
        ("POST", f"{OURS}/users/{{user_id}}/erase", erasing(erase.erase_user, "user_id")),
        ("POST", f"{OURS}/projects/{{erased_project_id}}/erase", erasing(erase.erase_project, "erased_project_id")),
    ]
    exports = admin_route(directory, "GET", f"{OURS}/users/{{user_id}}/export", export, writes=True)
    return [*(admin_route(directory, *row) for row in table), exports]
