"""What the routes of one server share. Nothing is global."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from creuset.server.accounting.energy import EnergyBook
from creuset.server.accounting.traffic import RecentTraffic
from creuset.server.database import Database
from creuset.server.engines.pool import EnginePool
from creuset.server.metrics import Metrics
from creuset.server.middleware import KeyStore, RequestContext
from creuset.server.pages import Pages
from creuset.server.protect.protection import Protection
from creuset.server.responses.store import ItemStore
from creuset.server.routes.callers import NameCallers
from creuset.server.routes.own_keys import TenantKeys
from creuset.server.routes.router import ModelRouter
from creuset.server.settings import ServeSettings
from creuset.server.tenants.directory.directory import Directory
from creuset.server.tenants.gate import Gate, OpenGate
from creuset.text.watermark import Watermark
from creuset.types.fields import Fields

if TYPE_CHECKING:
    from creuset.server.accounting.telemetry import Telemetry
    from creuset.server.batches.runner import BatchRunner

T = TypeVar("T")

MAX_SALT_CHARS = 1024
SLOW_TEXT_CHARS = 20_000  # a longer text is tokenized on a thread, so that other streams go on


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerState:
    """Everything a route may touch."""

    engines: EnginePool
    settings: ServeSettings
    metrics: Metrics
    log: Any
    keys: KeyStore | None = None
    clock: Callable[[], float] = time.time
    pages: Pages = field(default_factory=Pages)
    watermark: Watermark | None = None
    gate: Gate = field(default_factory=OpenGate)  # what limits and budgets say
    database: Database = field(default_factory=Database)
    directory: Directory | None = None  # of people and their keys
    batches: "BatchRunner | None" = None
    router: ModelRouter = field(default_factory=ModelRouter)  # public names, their targets and their life
    own_keys: TenantKeys = field(default_factory=TenantKeys)  # for upstreams
    callers: NameCallers = field(default_factory=NameCallers)  # who asks for old names
    traffic: RecentTraffic = field(default_factory=RecentTraffic)  # the last requests of each organization
    telemetry: "Telemetry | None" = None
    energy: EnergyBook = field(default_factory=EnergyBook.here)
    items: ItemStore = field(default_factory=ItemStore)  # responses and conversations that are kept
    protection: Protection | None = None  # what data protection needs; None: nothing of it is set


def context_of(request: Request) -> RequestContext:
    """What the middleware knows of the request."""
    found: RequestContext = request.scope["context"]
    return found


def salt_of(request: Request, fields: Fields, settings: ServeSettings) -> str:
    """Requests share cached prefixes only with those of the same salt: of the same key, and of the same `cache_salt`
    where they bring one. So nobody learns from times or `cached_tokens` what another key has sent."""
    own = fields.text("cache_salt", max_chars=MAX_SALT_CHARS) or ""
    caller = "" if settings.share_prefixes else context_of(request).caller or ""
    return f"{len(caller)}:{caller}{own}" if caller or own else ""


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


async def off_loop(size: int, function: Callable[..., T], *args: Any) -> T:
    """Call `function`, on a thread when its text of `size` characters is long."""
    return await asyncio.to_thread(function, *args) if size > SLOW_TEXT_CHARS else function(*args)
