"""How a server is set up. The engine has settings of its own, passed through as plain values."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

MEMORY = "sqlite://"  # SQLAlchemy's address of a database that is gone with its process
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeSettings:
    host: str = "127.0.0.1"
    port: int = 8000  # 0: any free one
    max_concurrency: int = 16  # completions generated together
    max_queue: int = 64  # completions that may wait behind them; more is refused with 429
    heartbeat_s: float = 10.0  # a stream with nothing to say sends a comment this often
    send_timeout_s: float = 60.0  # a client that reads nothing for so long is dropped
    drain_s: float = 20.0  # after SIGTERM: how long what runs may go on
    body_limit_bytes: int = 8 << 20
    file_limit_bytes: int = 513 << 20  # of a form with a file
    allow_hosts: tuple[str, ...] = ()  # names under which this server is reached, beside its own
    allow_origins: tuple[str, ...] = ()  # web pages elsewhere that may call it, such as https://app.example
    share_prefixes: bool = False  # callers with different keys may find each other's prompts in the prefix cache
    database: str = MEMORY  # where responses and conversations are kept: SQLAlchemy's address. So: in memory
    redis: str = ""  # the address of Redis or Valkey, where servers that share a database count limits
    journal: Path | None = None  # a folder: usage is kept there until the database has it. None: nowhere
    mail: str = ""  # the address of a mail server, which gets alerts about budgets
    mail_sender: str = "creuset@localhost"
    log_level: str = "info"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be between 0 and 65535, got {self.port}")
        for name in ("max_concurrency", "body_limit_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.max_queue < 0:
            raise ValueError(f"max_queue must not be negative, got {self.max_queue}")
        if self.drain_s < 0:
            raise ValueError(f"drain_s must not be negative, got {self.drain_s}")
        for name in ("heartbeat_s", "send_timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

        if self.redis and not self.redis.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError(f"redis must be an address such as redis://HOST or unix:///SOCKET, got `{self.redis}`")
        if self.redis and not self.database.startswith("postgres"):
            raise ValueError("redis counts for servers that share a PostgreSQL database; give its address as database")

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. A name other than localhost is not trusted to be."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def journal_folder(url: str, folder: Path) -> Path | None:
    """Where usage waits for the database at `url`: beside a file, else in `folder`; nowhere for what is in memory."""
    if url == MEMORY:
        return None
    if url.startswith("sqlite:///"):
        file = Path(url.removeprefix("sqlite:///"))
        return file.with_name(file.name + "-usage")
    return folder / "usage"


def database_url(given: str | None, folder: Path) -> str:
    """SQLAlchemy's address of what `--database` names: a file, an address, `memory`; or `server.db` in `folder`."""
    if given == "memory":
        return MEMORY
    if given is not None and "://" in given:
        return given
    file = Path(given).expanduser() if given is not None else folder / "server.db"
    return f"sqlite:///{file.absolute()}"
