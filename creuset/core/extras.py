"""What `pip install creuset` leaves out, and which extra brings it.

A machine that only serves needs no data pipeline, and one that trains needs no web server. A package of an extra is
imported where it is used; where it is missing, the error names the extra: `pip install 'creuset[data]'`.
A test holds this table and pyproject.toml to each other, and both to what the package imports.
"""

from creuset.core.errors import ConfigError

# extra: names that are imported. A package may be in several.
EXTRAS: dict[str, frozenset[str]] = {
    "serve": frozenset({
        "aiohttp", "alembic", "httpx", "prometheus_client", "python_multipart", "sqlalchemy", "starlette", "structlog",
        "uvicorn", "websockets",
    }),
    "fast": frozenset({"httptools", "uvloop"}),
    "tenants": frozenset({
        "argon2", "authlib", "cryptography", "httpx2", "joserfc", "phonenumbers", "pkcs11", "psycopg", "pydantic",
        "redis", "scim2_models", "stdnum",
    }),
    "train": frozenset({"zstandard"}),
    "data": frozenset({
        "datatrove", "fastwarc", "loguru", "lxml", "lxml_html_clean", "phonenumbers", "py3langid", "pyarrow", "regex",
        "resiliparse",
        "stdnum", "trafilatura", "xxhash", "zstandard",
    }),
    "eval": frozenset({
        "fastwarc", "httpx", "latex2sympy2_extended", "lxml", "lxml_html_clean", "phonenumbers", "psutil", "py3langid",
        "pyarrow", "resiliparse", "stdnum", "sympy", "trafilatura", "typst", "vaderSentiment", "xxhash", "zstandard",
    }),
}  # fmt: skip


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'creuset[{extra}]'"


def missing(error: ModuleNotFoundError, *, prefer: str = "") -> ConfigError | None:
    """An error that names the extra of the package that was not found; None for a module that is in no extra.

    `prefer`: the extra to name where several have the package.
    """
    package = (error.name or "").partition(".")[0]
    extras = [extra for extra, names in EXTRAS.items() if package in names]
    if not extras:
        return None
    extra = prefer if prefer in extras else extras[0]
    return ConfigError(f"this needs the package `{package}`, which is not installed", hint=install(extra))
