"""How a server protects data: read from the command line, plain values."""

from dataclasses import dataclass
from pathlib import Path

from creuset.server.protect.tls import NO_TLS, TlsFiles

SHORTEST_AUDIT_DAYS, LONGEST_AUDIT_DAYS = 183, 366  # six to twelve months


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtectSettings:
    master_key: str = ""  # where the key is that wraps data keys; empty: content is not sealed
    signing: Path | None = None  # the key of receipts, a file that is made when it is first needed
    guards: Path | None = None  # a file of guards for every project
    sweep_s: float = 3_600.0  # what is too old is looked for this often
    audit_to: str = ""  # syslog+udp://HOST:514, cef+tcp://HOST:514, otlp+http://HOST:4318/v1/logs
    audit_days: int = LONGEST_AUDIT_DAYS
    tls: TlsFiles = NO_TLS
    reads: bool = True  # the audit log says who read what was kept

    def __post_init__(self) -> None:
        if not SHORTEST_AUDIT_DAYS <= self.audit_days <= LONGEST_AUDIT_DAYS:
            raise ValueError(
                f"the audit log is kept between {SHORTEST_AUDIT_DAYS} and {LONGEST_AUDIT_DAYS} days "
                f"(six to twelve months), got {self.audit_days}"
            )
        if self.sweep_s <= 0:
            raise ValueError(f"sweep_s must be positive, got {self.sweep_s}")


UNPROTECTED = ProtectSettings()


def signing_file(url: str, folder: Path) -> Path:
    """The key of receipts: beside the file of a SQLite database, or in `folder`."""
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///") + ".signing")
    return folder / "signing"
