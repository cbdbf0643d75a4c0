"""Alerts: somebody is told, once in each window, when a chosen share of a budget is spent.

Of all servers, the one that writes the alert's row in the database first sends it, by an HTTP POST or by mail. What
could not be sent after some tries is sent with the next charge, so a receiver that was down hears late, and not never.
"""

import asyncio
import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
from sqlalchemy import delete, update
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement

from creuset.core.errors import ConfigError
from creuset.server.database import Database
from creuset.server.tenants.money.dialects import claim_row
from creuset.server.tenants.money.limits import Limit
from creuset.server.tenants.money.prices import as_money
from creuset.server.tenants.money.rules import SpendAlert
from creuset.server.tenants.money.tables import SENT
from creuset.server.tenants.money.windows import as_iso

TRIES = 5
WAIT_S = 1.0  # before the second try; each wait is twice the one before
TIMEOUT_S = 10.0
STALE_S = 300
LAST_MOMENT_S = 1.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is given. `url`: smtp://user@host:587 (encrypted by STARTTLS where offered) or smtps://host."""

    url: str
    sender: str = "creuset@localhost"
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.password:
            raise ConfigError(
                "the mail server must be an address such as smtp://user@mail.example.org:587, without a password",
                hint="give its password by the environment variable CREUSET_MAIL_PASSWORD",
            )

    def send(self, message: EmailMessage) -> None:
        parts = urlsplit(self.url)
        host, context = parts.hostname or "", ssl.create_default_context()
        if parts.scheme == "smtps":
            link: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_S, context=context)
        else:
            link = smtplib.SMTP(host, parts.port or 25, timeout=TIMEOUT_S)
        with link:
            link.ehlo()
            if parts.scheme == "smtp" and link.has_extn("starttls"):
                link.starttls(context=context)
                link.ehlo()
            if self.password:
                link.login(unquote(parts.username or ""), self.password)
            link.send_message(message)


class SpentNotice(msgspec.Struct, kw_only=True):
    """What a webhook gets, as JSON."""

    id: str  # of this notice: who gets it twice can tell
    alert: str
    organization: str
    kind: str
    subject: str
    window: str
    since: str  # begin of the window
    currency: str
    spent: int  # millionths
    threshold: int
    budget: int | None
    message: str
    object: str = "spend_alert.notice"


class AlertSender:
    def __init__(
        self,
        database: Database,
        *,
        mail: MailServer | None = None,
        on_error: Callable[[str, Exception], object] = lambda _what, _error: None,
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._mail, self._on_error, self._wait_s, self._clock = database, mail, on_error, wait_s, clock
        self._by_limit: dict[str, list[SpendAlert]] = {}
        self._told: set[tuple[str, str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def adopt(self, alerts: tuple[SpendAlert, ...]) -> None:
        """The alerts that are set now."""
        found: dict[str, list[SpendAlert]] = {}
        for alert in alerts:
            found.setdefault(alert.limit, []).append(alert)
        self._by_limit = found

    def spent(self, limit: Limit, subject: str, period: int, spent: int) -> None:
        """So much is spent of a budget. It may be said on any thread."""
        for alert in self._by_limit.get(limit.id, ()):
            due = alert.due(limit)
            key = (alert.id, subject, period)
            if due is None or spent < due or key in self._told:
                continue
            self._told.add(key)
            notice = _notice(alert, limit, subject, period, spent, due)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._begin, alert, notice, key)

    def _begin(self, alert: SpendAlert, notice: SpentNotice, key: tuple[str, str, int]) -> None:
        task = asyncio.create_task(self._tell(alert, notice, key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give what is being sent a moment. What is not sent by then is sent with the next charge."""
        await asyncio.sleep(0)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=LAST_MOMENT_S)
            for task in late:
                task.cancel()

    async def _tell(self, alert: SpendAlert, notice: SpentNotice, key: tuple[str, str, int]) -> None:
        ways = [("webhook", self._post)] if alert.channel.webhook else []
        ways += [("mail", self._write)] if alert.channel.mail else []
        for what, send in ways:
            row = {"alert": f"{alert.id}:{what}", "subject": key[1], "period": key[2], "state": "sending",
                   "at": int(self._clock() * 1_000_000)}  # fmt: skip
            try:
                if not await self._database.run(partial(_claimed, row)):
                    continue  # another server tells it, or did
                sent = await self._try(what, send, alert, notice)
                await self._database.run(partial(_done, row, sent))
            except Exception as error:
                self._on_error("alert", error)
                sent = False
            if not sent:
                self._told.discard(key)

    async def _try(
        self, what: str, send: Callable[[SpendAlert, SpentNotice], None], alert: SpendAlert, notice: SpentNotice
    ) -> bool:
        for attempt in range(TRIES):
            try:
                await asyncio.to_thread(send, alert, notice)
                return True
            except ConfigError as error:
                self._on_error(f"alert by {what}", error)
                return False
            except Exception as error:
                self._on_error(f"alert by {what}", error)
                if attempt + 1 < TRIES:
                    await asyncio.sleep(self._wait_s * 2**attempt)
        return False

    def _post(self, alert: SpendAlert, notice: SpentNotice) -> None:
        import httpx

        headers = {"content-type": "application/json"}
        found = httpx.post(
            alert.channel.webhook, content=msgspec.json.encode(notice), headers=headers, timeout=TIMEOUT_S,
            follow_redirects=False,
        )  # fmt: skip
        found.raise_for_status()

    def _write(self, alert: SpendAlert, notice: SpentNotice) -> None:
        if self._mail is None:
            raise ConfigError("an alert is to go by mail, and there is no mail server: creuset serve --mail URL")
        message = EmailMessage()
        share = f"{100 * notice.spent // notice.budget} % of " if notice.budget else ""
        prefix = f"{alert.channel.subject_prefix} " if alert.channel.subject_prefix else ""
        message["Subject"] = f"{prefix}{share}the budget of {notice.kind} {notice.subject} is spent"
        message["From"], message["To"] = self._mail.sender, ", ".join(alert.channel.mail)
        message["Message-ID"] = f"<{notice.id}@creuset>"
        message.set_content(notice.message + "\n")
        self._mail.send(message)


def _claimed(row: dict[str, Any], connection: Connection) -> bool:
    """Whether this server is the one to send it. One that began long ago and did not end has died."""
    stale = (SENT.c.state == "sending", SENT.c.at < row["at"] - STALE_S * 1_000_000)
    connection.execute(delete(SENT).where(*_same(row), *stale))
    return claim_row(connection, SENT, row)


def _done(row: dict[str, Any], sent: bool, connection: Connection) -> None:
    step = update(SENT).values(state="sent") if sent else delete(SENT)
    connection.execute(step.where(*_same(row)))


def _same(row: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [SENT.c[name] == row[name] for name in ("alert", "subject", "period")]


def _notice(alert: SpendAlert, limit: Limit, subject: str, period: int, spent: int, due: int) -> SpentNotice:
    def money(amount: int) -> str:
        return as_money(amount, limit.currency)

    of = "" if limit.amount is None else f" of {money(limit.amount)}"
    window = "" if limit.window == "total" else f" in the {limit.window} that began on {as_iso(period)}"
    said = f"{money(spent)}{of} are spent by {limit.kind} {subject}{window}. You asked to be told at {money(due)}."
    return SpentNotice(
        id=f"{alert.id}-{subject}-{period}", alert=alert.id, organization=limit.organization, kind=limit.kind,
        subject=subject, window=limit.window, since=as_iso(period), currency=limit.currency, spent=spent,
        threshold=due, budget=limit.amount, message=said,
    )  # fmt: skip
