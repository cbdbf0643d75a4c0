"""The architecture as a test: who imports whom, what never loads torch, how long a file may be."""

import ast
import functools
import json
import re
import subprocess
import sys
from pathlib import Path

from creuset.cli import VERBS
from tests.tree import FILES, MODULES, ROOT, TREE, imports_anywhere, imports_when_loaded, nodes, ours, parsed, within

# A room may import itself and these. A dotted name among them allows one module only; a dotted key is a module that may
# import more than its room.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "types": {"core"},
    "report": {"core", "types"},
    "text": {"core", "types"},
    "model": {"core"},
    "data": {"core", "text", "report"},
    "parallel": set(),
    # plan: the shapes of public runs are Hugging Face's config.json; its page
    "plan": {"core", "model.config", "model.count", "model.formats.hf_config", "report"},
    "train": {"core", "types", "text", "data", "model", "parallel", "report"},
    "engine": {"core", "types", "text", "model"},
    "evals": {"core", "types", "report", "model.windows"},
    "evals.clients.local": {"model", "engine", "text"},
    "evals.clients.weights": {"model", "engine", "text"},
    "evals.clients.conversations": {"engine", "text"},
    "evals.clients.scoring": {"model"},
    "server": {
        "core", "types", "text", "model.config", "model.context", "model.count", "model.formats.hf_config", "model.hub",
        "model.formats.pooling", "model.store.origin",
    },
    "server.engines.worker": {"engine"},    # the engine process: besides what the server may
    "server.tenants.money.prices": {"evals.prices"},  # one list of prices, for what is bought and for what is sold
    "benchmarks": {"core", "types", "data", "evals"},
    "governance": {
        "core", "types", "report", "model.config", "model.count", "model.formats.hf_config", "model.store.origin",
        "evals.prices",
    },
    "governance.audit.run": {"evals", "benchmarks"},
}  # fmt: skip
EVERYTHING = {"api", "cli", "recipes", "testing", "__init__", "__main__"}

# At import only: a function body may load torch, since by then somebody asked for a computation.
NO_TORCH = {
    "core", "types", "report", "text", "data", "plan", "server", "governance.dossier", "cli", "recipes",
    "model.config", "model.context", "model.count", "model.families", "model.formats.pooling", "model.rope_scaling",
    "model.hub", "model.store",
    "model.formats.hf_config", "model.formats.hf_fields", "model.formats.hf_rope", "model.formats.stored",
    "model.formats.weights", "model.formats.adapter", "model.formats.gguf.weights", "engine",
}  # fmt: skip
BUT = {"core.device", "data.shards.batches", "engine.backend.torch"}


@functools.cache
def loads(module: str) -> tuple[bool, tuple[str, ...]]:
    """Whether importing `module` names a package that loads torch, and which modules of ours it imports."""
    names = imports_when_loaded(module)
    return any(n.split(".")[0] in ("torch", "transformers") for n in names), tuple(sorted(ours(set(names)) - {module}))


def way_to_torch(module: str) -> list[str] | None:
    """The shortest way of modules on which importing `module` loads torch, or None."""
    ways = {module: [module]}
    queue = [module]
    for at in queue:
        heavy, next_ones = loads(at)
        if heavy:
            return [*ways[at], "torch"]
        for name in next_ones:
            if name not in ways:
                ways[name] = [*ways[at], name]
                queue.append(name)
    return None


def test_imports_point_downwards():
    guilty = []
    for module in sorted(MODULES):
        layer = module.split(".")[0]
        if layer in EVERYTHING:
            continue
        assert layer in MAY_IMPORT, f"{layer} is a new layer: say here what it may import"
        allowed = MAY_IMPORT[layer] | MAY_IMPORT.get(module, set()) | {layer}
        for name in imports_anywhere(module):
            if not name.startswith("creuset.") or name == "creuset.__version__":
                continue
            target = name.removeprefix("creuset.")
            # `from creuset import core` style: the package itself may be named when one of its modules may.
            if not (within(target, allowed) or target in {a.split(".")[0] for a in allowed}):
                guilty.append(f"{module}: {layer} may not import {name}")
    assert not guilty, guilty


def used_permissions(layer: str) -> set[str]:
    """What the modules of `layer` import of the package, anywhere in their files."""
    apart = {key for key in MAY_IMPORT if key.startswith(layer + ".")}
    mine = [m for m in MODULES if within(m, {layer}) and not within(m, apart)]
    return {t for m in mine for t in ours(set(imports_anywhere(m)))}


def test_no_permission_is_left_that_nobody_uses():
    idle = {}
    for layer, allowed in MAY_IMPORT.items():
        used = used_permissions(layer)
        if left := sorted(p for p in allowed if not any(within(target, {p}) for target in used)):
            idle[layer] = left
    assert not idle, f"nothing there imports these: delete the permissions {idle}"


def test_of_the_audit_only_its_run_knows_tests_and_clients():
    """governance/audit reads measures; what makes them is named by its run alone."""
    mine = [m for m in MODULES if within(m, {"governance.audit"}) and m != "governance.audit.run"]
    below = {"creuset.evals", "creuset.benchmarks", "creuset.model", "creuset.engine"}
    guilty = {m: known for m in mine if (known := sorted(n for n in imports_anywhere(m) if within(n, below)))}
    assert not guilty, guilty


def test_no_two_public_classes_have_one_name():
    found: dict[str, list[str]] = {}
    for module, tree in parsed().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(module)
    twice = {name: modules for name, modules in found.items() if len(modules) > 1}
    assert not twice, f"one name, one thing: {twice}"


def is_protocol(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases)


def mentions(annotation: ast.expr | None, names: set[str]) -> bool:
    if annotation is None:
        return False
    said = {n.id if isinstance(n, ast.Name) else n.value for n in ast.walk(annotation)
            if isinstance(n, ast.Name | ast.Constant)}  # fmt: skip
    return bool(names & {word for text in said if isinstance(text, str) for word in re.findall(r"\w+", text)})


def protocol_variables(function: ast.FunctionDef | ast.AsyncFunctionDef, protocols: set[str]) -> set[str]:
    """Names in `function` that its annotations, or a loop over such a name, make values of a protocol."""
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg]
    names = {a.arg for a in listed if a is not None and mentions(a.annotation, protocols)}
    for node in ast.walk(function):
        target = getattr(node, "target", None)
        if not isinstance(target, ast.Name):
            continue
        looped = isinstance(node, ast.For | ast.comprehension) and isinstance(node.iter, ast.Name)
        if looped:
            known = node.iter.id in names
        else:
            known = isinstance(node, ast.AnnAssign) and mentions(node.annotation, protocols)
        if known:
            names.add(target.id)
    return names


# Files that ask a protocol's value for what the protocol does not name. Whoever mends one deletes the line.
GETATTR_ON_PROTOCOLS: set[str] = set()


def test_a_protocol_says_everything_that_is_asked_of_it():
    every = {module: [n for n in nodes(module) if isinstance(n, ast.ClassDef)] for module in MODULES}
    classes = [n for found in every.values() for n in found]
    protocols = {n.name for n in classes if is_protocol(n)}
    guilty: dict[str, list[int]] = {}
    for module in MODULES:
        members = {
            n.target.id
            for c in every[module]
            for n in c.body
            if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name) and mentions(n.annotation, protocols)
        }
        for function in (n for n in nodes(module) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)):
            asks = [n for n in ast.walk(function) if isinstance(n, ast.Call) and n.args
                    and isinstance(n.func, ast.Name) and n.func.id in ("getattr", "hasattr")]  # fmt: skip
            names = protocol_variables(function, protocols) if asks else set()
            for node in asks:
                asked = node.args[0]
                of_one = isinstance(asked, ast.Name) and asked.id in names
                in_one = isinstance(asked, ast.Attribute) and asked.attr in members
                if of_one or in_one:
                    guilty.setdefault(module, []).append(node.lineno)
    new = {module: lines for module, lines in guilty.items() if module not in GETATTR_ON_PROTOCOLS}
    assert not new, f"say it in the protocol instead: {new}"
    idle = sorted(GETATTR_ON_PROTOCOLS - set(guilty))
    assert not idle, f"delete from GETATTR_ON_PROTOCOLS: {idle}"


MOST_FILES = 15
# Folders with more files than that today, and how many. The number may only fall; at 15 the line goes.
FULL_FOLDERS: dict[str, int] = {}


def test_a_folder_holds_no_more_files_than_one_looks_over():
    folders: dict[str, int] = {}
    for file in FILES:
        if file.name != "__init__.py":
            folder = file.parent.relative_to(ROOT).as_posix()
            folders[folder] = folders.get(folder, 0) + 1
    full = {folder: count for folder, count in folders.items() if count > MOST_FILES}
    worse = {folder: count for folder, count in full.items() if count > FULL_FOLDERS.get(folder, MOST_FILES)}
    assert not worse, f"more than {MOST_FILES} files, or more than before: {worse}"
    idle = sorted(set(FULL_FOLDERS) - set(full))
    assert not idle, f"delete from FULL_FOLDERS: {idle}"


def test_only_the_command_line_reads_arguments():
    guilty = [m for m in MODULES if "argparse" in imports_anywhere(m) and not within(m, {"cli"})]
    assert not guilty, f"work is done outside the command line: {guilty}"


def test_nothing_but_tests_imports_the_test_helpers():
    guilty = [m for m in MODULES if "creuset.testing" in imports_anywhere(m) and m != "testing"]
    assert not guilty, guilty


def test_importing_the_light_modules_does_not_load_torch():
    light = [m for m in sorted(MODULES) if within(m, NO_TORCH) and not within(m, BUT)]
    guilty = [" -> ".join(way) for module in light if (way := way_to_torch(module)) is not None]
    assert not guilty, guilty


def test_no_file_is_longer_than_one_sitting():
    beside = ("tests", "bench", "runs", "datasets", "validation")
    folders = [ROOT, *(TREE / name for name in beside if (TREE / name).is_dir())]
    files = [f for folder in folders for f in folder.rglob("*.py")]
    long = {f.relative_to(TREE).as_posix(): n for f in files if (n := len(f.read_text().splitlines())) > 400}
    assert not long, f"split these: {long}"


def test_no_two_test_files_have_one_name():
    # In folders that are no packages, pytest knows a file by its name alone and refuses the second.
    files = [f for f in (TREE / "tests").rglob("test_*.py") if not (f.parent / "__init__.py").is_file()]
    names = [f.name for f in files]
    assert len(names) == len(set(names)), sorted(n for n in set(names) if names.count(n) > 1)


PROBE = """
import contextlib, io, json, sys
from creuset.cli import main
for argv in json.loads(sys.argv[1]):
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            code = main(argv)
    except SystemExit as left:
        code = left.code or 0
    print(json.dumps([code, sorted({m.split('.')[0] for m in sys.modules}), out.getvalue()]))
"""


def loaded_by(*argvs: list[str]) -> list[tuple[int, set[str], str]]:
    """Exit code, top-level modules loaded so far, and stdout of each `creuset ARGV`, run in one process."""
    ran = subprocess.run([sys.executable, "-c", PROBE, json.dumps(argvs)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return [(code, set(modules), out) for code, modules, out in map(json.loads, ran.stdout.splitlines())]


HEAVY = {"torch", "transformers", "datatrove", "starlette", "pyarrow", "tokenizers", "numpy", "pandas", "sympy"}


def test_help_loads_nothing_heavy():
    ((code, modules, out),) = loaded_by(["--help"])
    assert code == 0 and not modules & HEAVY, modules & HEAVY
    assert all(verb in out for verb in VERBS)


def test_every_verb_explains_itself_without_torch():
    for verb, (code, modules, out) in zip(VERBS, loaded_by(*([verb, "--help"] for verb in VERBS)), strict=True):
        assert code == 0 and f"usage: creuset {verb}" in out
        assert not modules & {"torch", "transformers"}, f"`creuset {verb} --help` loads torch"


def committed_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TREE, capture_output=True, text=True, check=False)
    if listed.returncode:  # an archive without its history: everything but what setting up and running leaves
        skip = {".venv", ".git", "node_modules", "__pycache__", "out", "build", "dist"}
        return [f for f in TREE.rglob("*") if f.is_file() and not skip & set(f.relative_to(TREE).parts)]
    return [TREE / name for name in listed.stdout.split("\0") if name and (TREE / name).is_file()]


TEXT = {".py", ".md", ".toml", ".txt", ".sh", ".json", ".jsonl", ".html", ".ts", ".tsx", ".yml", ".yaml", ".jinja", ""}


def test_no_committed_file_names_a_folder_of_one_machine():
    # A home, or the root folder of a build machine, followed by something.
    machine = re.compile(r"(?<![\w.$}~-])/(?:home|Users|root|work|workspace)/[\w.-]+")
    found = {}
    for file in committed_files():
        if file.suffix in TEXT and file.stat().st_size < 2_000_000:
            text = file.read_text(encoding="utf-8", errors="ignore")
            if hit := machine.search(text):
                found[file.relative_to(TREE).as_posix()] = hit.group()
    assert not found, found
