"""Logs: one JSON object a line on stderr. Never a prompt, a completion or a key: only ids, counts and times."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from creuset.core import personal

LEVELS = ("debug", "info", "warning", "error")


def new_log(level: str, stream: Any = None) -> Any:
    """A structlog logger of its own: structlog's global configuration is left alone."""
    return structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            masked,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
    )


def masked(_log: Any, _level: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Texts without keys, passwords, mail and network addresses: an error's words may repeat what somebody sent."""
    return {
        name: personal.mask(value, personal.PLAIN)[0] if isinstance(value, str) else value
        for name, value in event.items()
    }


class ToStructlog(logging.Handler):
    """Carries what uvicorn says into our log; its texts name no content."""

    def __init__(self, log: Any) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._log.warning("http", message=record.msg if not record.exc_info else "exception", fault=fault)
