"""Where the code can be changed, and how: cosmic-ray's operators, and one of our own that removes a statement.

Left out are changes that say nothing about the tests: type annotations, what only a type checker runs or guards,
defaults of settings, and operators in the place of others that no slip of a hand would give (`+` for `**`).
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator

Position = tuple[tuple[int, int], tuple[int, int]]

_BINARY = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_FloorDiv", "Pow_Mul", "BitOr_BitAnd",
           "BitAnd_BitOr", "BitXor_BitOr", "LShift_RShift", "RShift_LShift")  # fmt: skip
_COMPARED = ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt",
             "Is_IsNot", "IsNot_Is")  # fmt: skip
_PLAIN = ("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "AddNot", "ReplaceTrueWithFalse",
          "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceBreakWithContinue",
          "ReplaceContinueWithBreak", "ExceptionReplacer", "NumberReplacer", "ZeroIterationForLoop")  # fmt: skip


class RemoveStatement(Operator):  # type: ignore[misc]
    """Puts `pass` in the place of a call, an assignment or a raise: "the load of the last batch is never stored"."""

    def mutation_positions(self, node: Any) -> Iterator[Position]:
        for child in self._statements(node):
            yield child.start_pos, child.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        old = self._statements(node)[index]
        prefix = old.get_first_leaf().prefix
        new = parso.python.tree.Keyword("pass", old.start_pos, prefix=prefix)
        node.children[node.children.index(old)] = new
        return node

    @staticmethod
    def _statements(node: Any) -> list[Any]:
        if node.type != "simple_stmt" or parso.python.tree.search_ancestor(node, "funcdef") is None:
            return []  # of a module or a class body: nothing would load
        return [c for c in node.children if c.type in ("atom_expr", "power", "expr_stmt", "raise_stmt", "await_expr")]

    @classmethod
    def examples(cls) -> Sequence[Example]:
        return (Example("def f():\n    g()\n", "def f():\n    pass\n"),)


def operators() -> dict[str, Operator]:
    names = [f"ReplaceBinaryOperator_{n}" for n in _BINARY] + [f"ReplaceComparisonOperator_{n}" for n in _COMPARED]
    found = {name: cosmic_ray.plugins.get_operator(f"core/{name}")() for name in (*names, *_PLAIN)}
    return {**found, "RemoveStatement": RemoveStatement()}


OPERATORS = operators()


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: `occurrence` counts the places where `operator` applies to `file`."""

    file: str
    line: int
    column: int
    operator: str
    occurrence: int

    @property
    def place(self) -> tuple[str, int, int]:
        return self.file, self.line, self.column

    def code(self, source: str) -> str:
        """`source`, the text of the file, with the change made."""
        changed = mutate_code(source, OPERATORS[self.operator], self.occurrence)
        assert changed is not None, f"{self} cannot be made"
        return str(changed)

    def lines(self, source: str) -> tuple[str, str]:
        """What stood where the change is made, and what stands there now, without indentation."""
        old, new = source.splitlines(), self.code(source).splitlines()
        same = 0
        while same < min(len(old), len(new)) - self.line and old[-1 - same] == new[-1 - same]:
            same += 1
        before, after = (text[self.line - 1 : len(text) - same] for text in (old, new))
        return " ".join(text.strip() for text in before), " ".join(text.strip() for text in after)


def mutants(tree: Path, patterns: Sequence[str], *, but: Sequence[str] = ()) -> Iterator[Mutant]:
    """Every mutant of the files of `tree` that match `patterns` and not `but`, in the order of the code."""
    found, left_out = ({f for pattern in globs for f in tree.glob(pattern)} for globs in (patterns, but))
    for file in sorted(found - left_out):
        source, name = file.read_text(encoding="utf-8"), file.relative_to(tree).as_posix()
        skip, nodes = _Skipped(source), list(ast_nodes(get_ast(source)))
        # The `*` and `/` of a parameter list are no operators, though cosmic-ray takes them for such.
        marks = {n.start_pos for n in nodes if n.parent and n.parent.type in ("parameters", "lambdef")}
        found = [
            Mutant(name, line, column, operator_name, occurrence)
            for operator_name, operator in OPERATORS.items()
            for occurrence, (line, column) in enumerate(
                start for node in nodes for start, _ in operator.mutation_positions(node)
            )
            if line not in skip.lines and (line, column) not in skip.columns | marks
        ]
        yield from sorted(found, key=lambda m: (m.line, m.column, m.operator, m.occurrence))


class _Skipped:
    """Annotations, blocks under TYPE_CHECKING, options of dataclasses, which the type checker guards, and defaults of
    settings: another default is a choice, no error."""

    def __init__(self, source: str) -> None:
        self.tree = ast.parse(source)

    @cached_property
    def lines(self) -> set[int]:
        blocks = [
            node for node in ast.walk(self.tree)
            if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        ]  # fmt: skip
        return {line for node in blocks for line in range(node.lineno, (node.end_lineno or 0) + 1)}

    @cached_property
    def columns(self) -> set[tuple[int, int]]:
        left_out: list[ast.expr] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation is not None:
                left_out.append(node.annotation)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
                left_out.append(node.returns)
            if isinstance(node, ast.ClassDef):
                left_out += node.decorator_list
                left_out += [n.value for n in node.body if isinstance(n, ast.AnnAssign) and n.value is not None]
        return {
            (line, column)
            for node in left_out
            for line in range(node.lineno, (node.end_lineno or 0) + 1)
            for column in range(
                node.col_offset if line == node.lineno else 0,
                (node.end_col_offset or 0) if line == node.end_lineno else 1000,
            )
        }
