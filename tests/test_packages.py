"""What the package imports is what pyproject.toml declares, in both directions, and a missing extra is named."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from creuset.core.extras import EXTRAS, install, missing
from tests.tree import MODULES, TREE, imports_anywhere, imports_when_loaded, ours

DECLARED = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# A distribution whose import name is not its own.
IMPORTED_AS = {
    "argon2-cffi": "argon2",
    "python-pkcs11": "pkcs11",
    "python-stdnum": "stdnum",
    "factur-x": "facturx",
    "antlr4-python3-runtime": "antlr4",
    "cyclonedx-python-lib": "cyclonedx",
    "pytest-xdist": "xdist",
    "scikit-learn": "sklearn",
    "lm-eval": "lm_eval",
}
# Installed for what others import at run time, or run as a program: no `import` of ours names them.
NOT_IMPORTED = {
    "antlr4": "latex2sympy2_extended parses with it", "lxml_html_clean": "trafilatura imports it",
    "accelerate": "lm_eval imports it", "lm_eval": "run as a program",
    "websockets": "uvicorn imports it",
    "httptools": "uvicorn imports it where it is there",
    "build": "run as a program", "setuptools": "builds the wheel", "xdist": "a plugin of pytest",
    "ruff": "run as a program", "mypy": "run as a program", "creuset": "this package",
}  # fmt: skip
# Imported where a program of somebody else is at hand.
NOT_OURS = {"conversion": "llama.cpp's converter, from its folder"}


def names(requirements: list[str]) -> set[str]:
    """Import names of requirement strings."""
    found = {re.split(r"[\[<>=!~; ]", r, maxsplit=1)[0].lower().replace("_", "-") for r in requirements}
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name in found}


PDF = ("report.pdf", "report.pdf_text")  # the pages of the dossier; every other page is HTML
CORE = names(DECLARED["dependencies"])
EXTRA = {extra: names(rs) for extra, rs in DECLARED["optional-dependencies"].items()}


def foreign(imported: set[str] | frozenset[str]) -> set[str]:
    """Top-level names that are neither ours nor Python's; `vaderSentiment` is written as its distribution is."""
    tops = {name.partition(".")[0] for name in imported if name}
    return {t.lower() for t in tops if t not in sys.stdlib_module_names} - {"creuset", "tests", *NOT_OURS}


def reachable(start: set[str]) -> set[str]:
    """Modules of the package that `start` can import, now or when a function is called."""
    seen: set[str] = set()
    queue = [*start]
    while queue:
        module = queue.pop()
        if module in seen:
            continue
        seen.add(module)
        parents = {module.rsplit(".", n)[0] for n in range(1, module.count(".") + 1)}
        queue += (ours(set(imports_anywhere(module))) | parents) & set(MODULES)
    return seen


def needs(start: set[str]) -> set[str]:
    """Third-party packages. Files packed with zstandard are read by the jobs that have it, through core.compressed.
    Logs mask those kinds of personal data that need no library (core.personal.PLAIN). A server where nobody signs on
    needs nothing for that, and one that seals nothing no cryptography."""
    lazy = NUMBERS | SIGN_ON | FAST | SHARED | PROTECT
    modules = reachable(start) - {"core.compressed"} - (lazy - start)
    return {name for module in modules for name in foreign(imports_anywhere(module))}


def inside(*packages: str) -> set[str]:
    return {m for m in MODULES if any(m == p or m.startswith(p + ".") for p in packages)}


SIGN_ON = inside("server.tenants.signon", "server.scim")
FAST, SHARED = inside("server.engines.loop"), inside("server.tenants.replicas")
PROTECT = inside("server.protect.vault", "server.protect.privacy.receipts")
NUMBERS = {"core.personal.check_digits", "core.personal.telephone"}


def test_what_is_imported_is_declared() -> None:
    used = {name for module in MODULES for name in foreign(imports_anywhere(module))}
    declared = CORE.union(*(EXTRA[e] for e in EXTRAS))
    assert used - declared == set(), "imported and not declared"
    assert declared - used - set(NOT_IMPORTED) == set(), "declared and imported nowhere"


@pytest.mark.parametrize(
    ("extra", "modules"),
    [
        ("", inside("core", "types", "model", "engine", "text", "parallel", "plan", "report", "api.assistant",
                    "cli.chat", "cli.weights", "cli.plan", "cli.verify") - inside("text.bulk", "core.personal", *PDF)),
        ("serve", inside("server", "cli.serve", "cli.tenants") - SIGN_ON - FAST - SHARED - PROTECT),
        ("tenants", SIGN_ON | SHARED | PROTECT | NUMBERS),
        ("fast", FAST),
        ("train", inside("train", "recipes", "cli.training")),
        ("data", inside("data", "core.personal", "cli.corpus", "cli.tokenizer", "text.bulk")),
        ("eval", inside("api.evaluation", *PDF, "evals", "benchmarks", "governance", "cli.eval", "cli.audit",
                        "cli.compare", "cli.dossier")),
    ],
)  # fmt: skip
def test_an_extra_brings_all_that_its_job_can_reach(extra: str, modules: set[str]) -> None:
    with_it = EXTRA["serve"] if extra == "tenants" else set()
    assert modules and needs(modules) - CORE - EXTRA.get(extra, set()) - with_it == set()


def test_the_table_of_extras_is_that_of_pyproject() -> None:
    for extra, imported in EXTRAS.items():
        assert {name.lower() for name in imported} == EXTRA[extra] - {"antlr4"}, extra


def test_what_only_tests_need_is_used_by_them() -> None:
    files = (f for folder in ("tests", "bench", "validation") for f in (TREE / folder).rglob("*.py"))
    text = "\n".join(f.read_text(encoding="utf-8") for f in files)
    used = set(re.findall(r"""^\s*(?:import|from) (\w+)|importorskip\(["'](\w+)""", text, re.MULTILINE))
    used = {first or second for first, second in used}
    for extra in ("dev", "harness", "mutants"):
        assert EXTRA[extra] - foreign(used) - set(NOT_IMPORTED) == set(), f"in [{extra}] and used by no test"


def test_every_declared_version_is_the_one_that_is_pinned() -> None:
    pinned = dict(line.split("==") for line in (TREE / "constraints.txt").read_text().split() if "==" in line)
    known = {name.lower().replace("_", "-") for name in pinned}
    every = [*DECLARED["dependencies"], *(r for rs in DECLARED["optional-dependencies"].values() for r in rs)]
    wanted = {re.split(r"[\[<>=!~; ]", r, maxsplit=1)[0].lower().replace("_", "-") for r in every} - {"creuset"}
    assert wanted - known == set(), "not in constraints.txt"


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_package_is_an_error_that_names_its_extra(extra: str) -> None:
    for name in EXTRAS[extra]:
        error = missing(ModuleNotFoundError(f"No module named '{name}.x'", name=f"{name}.x"), prefer=extra)
        assert error is not None and f"`{name}`" in str(error) and error.hint == install(extra)


def test_a_module_of_somebody_else_is_not_blamed_on_an_extra() -> None:
    assert missing(ModuleNotFoundError("No module named 'pandas'", name="pandas")) is None
    assert missing(ModuleNotFoundError("No module named 'creuset.x'", name="creuset.x")) is None


@pytest.mark.parametrize(
    ("argv", "package", "extra"),
    [
        (["corpus", "build", "x", "--licence", "CC0-1.0", "--out", "y"], "datatrove", "data"),
        (["serve", "--port", "0"], "uvicorn", "serve"),
        (["eval", "http://127.0.0.1:9/v1", "--model", "m", "--task", "ifeval_fr"], "httpx", "eval"),
        (["audit", "http://127.0.0.1:9/v1", "--model", "m", "--items", "disclosure"], "httpx", "eval"),
    ],
)
def test_a_command_without_its_extra_says_what_to_install(
    argv: list[str], package: str, extra: str, tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.txt").write_text("A text.")
    # A package that is None in sys.modules cannot be imported, as if it were not installed.
    hide = f"import json, sys\nsys.modules[{package!r}] = None\nfrom creuset.cli import main\n"
    ran = subprocess.run(
        [sys.executable, "-c", hide + "sys.exit(main(json.loads(sys.argv[1])))", json.dumps(argv)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 2, ran.stderr
    assert f"`{package}`, which is not installed" in ran.stderr and install(extra) in ran.stderr


def test_this_version_has_its_changes_written_down() -> None:
    from creuset import __version__

    assert f"## {__version__}" in (TREE / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_server_without_people_who_sign_on_imports_nothing_for_them() -> None:
    seen: set[str] = set()
    queue = ["server.run", "server.app", "cli.serve"]
    while queue:
        if (module := queue.pop()) not in seen:
            seen.add(module)
            queue += ours(set(imports_when_loaded(module)))
    loaded = {name for module in seen for name in foreign(imports_when_loaded(module))}
    assert "starlette" in loaded and "sqlalchemy" in loaded
    assert not loaded & {"alembic", *(EXTRA["tenants"] - EXTRA["serve"])}
