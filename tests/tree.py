"""The package as its files say it: which modules there are, and what each imports. Read once a process."""

import ast
import functools
from pathlib import Path

TREE = Path(__file__).parent.parent
ROOT = TREE / "creuset"
FILES = sorted(f for f in ROOT.rglob("*.py") if "__pycache__" not in f.parts)


def module_of(file: Path) -> str:
    """`creuset/core/errors.py` -> `core.errors`; `creuset/core/__init__.py` -> `core`."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_of(f): f for f in FILES}
NAMES = frozenset(MODULES)


def within(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in names)


def names_of(node: ast.AST, file: Path) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{file}: write imports in full"
        # `from creuset.core import log` may name a module or something in one.
        return {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return set()


def ours(names: set[str]) -> set[str]:
    """The modules of the package among `names`, without the prefix."""
    return {n.removeprefix("creuset.") for n in names if n.startswith("creuset.")} & NAMES


@functools.cache
def parsed() -> dict[str, ast.Module]:
    return {module: ast.parse(file.read_text()) for module, file in MODULES.items()}


@functools.cache
def nodes(module: str) -> tuple[ast.AST, ...]:
    """Every node of the module, walked once for all tests."""
    return tuple(ast.walk(parsed()[module]))


@functools.cache
def imports_anywhere(module: str) -> frozenset[str]:
    found = (node for node in nodes(module) if isinstance(node, ast.Import | ast.ImportFrom))
    return frozenset(n for node in found for n in names_of(node, MODULES[module]))


@functools.cache
def imports_when_loaded(module: str) -> frozenset[str]:
    """What the module imports by being imported: function bodies and `if TYPE_CHECKING` left out."""
    file = MODULES[module]
    names: set[str] = set()
    queue: list[ast.AST] = list(parsed()[module].body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            queue += node.orelse
            continue
        names |= names_of(node, file)
        queue += ast.iter_child_nodes(node)
    return frozenset(names)
