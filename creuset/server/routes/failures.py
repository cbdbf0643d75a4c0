"""Why a target did not answer, and whether another may."""

import re

from creuset.core.errors import EngineError, Overloaded, PromptTooLong
from creuset.server.engines.upstream import PolicyRefused, UpstreamLacks, UpstreamRefused
from creuset.server.routes.config import Reason
from creuset.server.tenants.money.refusals import LedgerUnavailable, QuotaSpent, RateLimited

_CONTEXT_CODES = ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length")
_CONTEXT = re.compile(r"context (length|size|window)|maximum.{0,20}tokens|prompt is too long|too many tokens", re.I)
_POLICY_CODES = ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation")
_POLICY = re.compile(r"content (management )?policy|content filter|safety system", re.I)


class AllResting(EngineError):
    """No target of a route takes requests now."""

    code = "no_target"


def reason_of(error: BaseException) -> Reason | None:
    """Why the next target may be asked; None: it would refuse as well, or it is not to be asked.

    A limit of the caller and a refusal of this server itself, such as that of a guardrail, are never passed by.
    """
    if isinstance(error, RateLimited | QuotaSpent | LedgerUnavailable):
        return None
    if isinstance(error, PromptTooLong):
        return "context"
    if isinstance(error, PolicyRefused):
        return "policy"
    if isinstance(error, UpstreamLacks):
        return "failure"
    if isinstance(error, UpstreamRefused):
        if error.code in _POLICY_CODES or _POLICY.search(str(error)):
            return "policy"
        if error.code in _CONTEXT_CODES or error.status == 413 or _CONTEXT.search(str(error)):
            return "context"
        return None
    if isinstance(error, Overloaded):
        return "overload"
    return "failure" if isinstance(error, EngineError) else None
