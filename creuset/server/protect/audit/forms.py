"""An entry of the audit log as other systems read it: syslog (RFC 5424), CEF, and OTLP's logs in JSON."""

import json
from datetime import UTC, datetime
from typing import Any

import creuset
from creuset.server.tenants.directory.rows import Row, from_json

FACILITY, NOTICE = 13, 5  # "log audit"; normal, but of interest
ENTERPRISE = 32473  # the number that RFC 5612 sets apart for those who have none
CEF_SEVERITY = 3


def told(entry: Row) -> dict[str, Any]:
    """What is told of an entry, whatever the form."""
    names = ("id", "type", "organization", "project", "effective", "previous", "hash")
    found = {name: entry[name] for name in names if entry[name] is not None}
    return found | {"actor": from_json(entry["actor"]), "body": from_json(entry["body"])}


def syslog(entry: Row, host: str, message: str | None = None) -> bytes:
    """One message of RFC 5424, with the entry as structured data and as JSON, or with `message`."""
    said = told(entry)
    names = ("id", "type", "organization", "project", "hash")
    data = " ".join(f'{name}="{_quoted(str(said[name]))}"' for name in names if name in said)
    head = f"<{8 * FACILITY + NOTICE}>1 {_time(entry)} {host or '-'} creuset - {_name(entry['type'])}"
    text = json.dumps(said, ensure_ascii=False, sort_keys=True) if message is None else message
    return f"{head} [audit@{ENTERPRISE} {data}] \ufeff{text}".encode()


def cef(entry: Row, host: str) -> bytes:
    """ArcSight's Common Event Format, in a message of syslog."""
    said, actor = told(entry), from_json(entry["actor"]) or {}
    head = "|".join(_cef_head(one) for one in ("creuset", "creuset", creuset.__version__, entry["type"], entry["type"]))
    fields = {
        "rt": 1000 * entry["effective"], "externalId": entry["id"], "src": actor.get("address"),
        "suid": actor.get("user") or actor.get("service_account") or actor.get("id"), "suser": actor.get("email"),
        "cs1Label": "organization", "cs1": entry["organization"], "cs2Label": "hash", "cs2": entry["hash"],
        "msg": json.dumps(said["body"], ensure_ascii=False, sort_keys=True),
    }  # fmt: skip
    extension = " ".join(f"{name}={_cef_value(str(value))}" for name, value in fields.items() if value)
    return syslog(entry, host, f"CEF:0|{head}|{CEF_SEVERITY}|{extension}")


def otlp(entries: list[Row], host: str) -> dict[str, Any]:
    """A request of OTLP's logs, in JSON."""
    records = [
        {
            "timeUnixNano": str(1_000_000_000 * entry["effective"]), "severityNumber": 9, "severityText": "INFO",
            "eventName": entry["type"],
            "body": {"stringValue": json.dumps(told(entry), ensure_ascii=False, sort_keys=True)},
            "attributes": [
                _attribute(f"audit.{name}", entry[name]) for name in ("id", "type", "organization", "project", "hash")
                if entry[name] is not None
            ],
        }
        for entry in entries
    ]  # fmt: skip
    resource = [_attribute("service.name", "creuset"), _attribute("service.version", creuset.__version__)]
    resource += [_attribute("host.name", host)] if host else []
    scope = {"name": "creuset.audit", "version": creuset.__version__}
    logs = [{"scope": scope, "logRecords": records}]
    return {"resourceLogs": [{"resource": {"attributes": resource}, "scopeLogs": logs}]}


def _attribute(name: str, value: object) -> dict[str, Any]:
    return {"key": name, "value": {"stringValue": str(value)}}


def _time(entry: Row) -> str:
    return datetime.fromtimestamp(entry["effective"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _name(text: str) -> str:
    """At most 32 visible characters, as a MSGID has."""
    return "".join(c for c in text if "!" <= c <= "~")[:32] or "-"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _cef_head(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _cef_value(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=").replace("\n", "\\n")
