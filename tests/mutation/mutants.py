"""One-line faults for the code under test: `mutants_of` lists them, `mutate` shows which of them survive the tests.

Python is mutated at its syntax tree, Lua (the scripts for Redis) by pattern. A mutant replaces one piece of the source
text, so that everything else keeps its line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_LUA: Final = (
    (re.compile(r"(?<![<>=~])<=(?!=)"), "<"),
    (re.compile(r"(?<![<>=~])>=(?!=)"), ">"),
    (re.compile(r"(?<![<>=~])<(?![=<])"), "<="),
    (re.compile(r"(?<![<>=~])>(?![=>])"), ">="),
    (re.compile(r"=="), "~="),
    (re.compile(r"~="), "=="),
    (re.compile(r"\band\b"), "or"),
    (re.compile(r"\bor\b"), "and"),
    (re.compile(r"^[ \t]*redis\.call\(.*\)$", re.MULTILINE), ""),
)
_LOGGERS: Final = frozenset({"log", "logger"})


@dataclass(frozen=True, slots=True)
class Mutant:
    """`path` with the characters from `start` to `end` replaced."""

    path: Path
    line: int
    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.end :]

    def describe(self, source: str) -> str:
        before = " ".join(source[self.start : self.end].split())
        return f"{self.path}:{self.line}: {before} → {self.text or 'removed'}"


def mutants_of(path: Path, source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    if path.suffix == ".lua":
        return list(_of_lua(path, source))
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda mutant: (mutant.start, mutant.end, mutant.text))


def _of_lua(path: Path, source: str) -> Iterator[Mutant]:
    lines = source.splitlines()
    for pattern, text in _LUA:
        for match in pattern.finditer(source):
            line = source.count("\n", 0, match.start()) + 1
            if not lines[line - 1].lstrip().startswith("--"):
                yield Mutant(path, line, match.start(), match.end(), text)


class _Offsets:
    """Converts lines and UTF-8 columns of the syntax tree to offsets in the text."""

    def __init__(self, source: str) -> None:
        self._lines = source.splitlines(keepends=True)
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def of(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._at(node.lineno, node.col_offset), self._at(node.end_lineno, node.end_col_offset)

    def _at(self, line: int, column: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())


class _Finder(ast.NodeVisitor):
    """Skips code that no test should depend on: annotations, decorators, class options, assertions, log messages."""

    def __init__(self, path: Path, source: str) -> None:
        self.found: list[Mutant] = []
        self._path = path
        self._offsets = _Offsets(source)

    def _add(self, node: ast.expr | ast.stmt, text: str) -> None:
        start, end = self._offsets.of(node)
        self.found.append(Mutant(self._path, node.lineno, start, end, text))

    # -- statements
    def visit_Expr(self, node: ast.Expr) -> None:  # named by ast
        called = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(called, ast.Call) and not _logs(called):
            self._add(node, "pass")
            self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            if not (isinstance(node.value, ast.Constant) and node.value.value is None):
                self._add(node, "return None")
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self._negate(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._negate(node.test)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.op, ast.Add | ast.Sub):
            operator = "-=" if isinstance(node.op, ast.Add) else "+="
            self._add(node, f"{ast.unparse(node.target)} {operator} {ast.unparse(node.value)}")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Skipped."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for part in (*node.args.defaults, *(default for default in node.args.kw_defaults if default), *node.body):
            self.visit(part)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in node.body:
            self.visit(part)

    # -- expressions
    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1:
            left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
            self._add(node, f"{left} {_COMPARISONS[type(node.ops[0])]} {right}")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = " or " if isinstance(node.op, ast.And) else " and "
        self._add(node, f"({other.join(f'({ast.unparse(value)})' for value in node.values)})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(node, f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        text = isinstance(node.left, ast.Constant | ast.JoinedStr) and not _is_number(node.left)
        if isinstance(node.op, ast.Add | ast.Sub) and not text:
            operator = "-" if isinstance(node.op, ast.Add) else "+"
            self._add(node, f"({ast.unparse(node.left)} {operator} ({ast.unparse(node.right)}))")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Skipped: texts for humans."""

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._add(node, str(not node.value))
        elif _is_number(node):
            assert isinstance(node.value, int | float)
            self._add(node, f"({node.value + 1})")
            self._add(node, f"({node.value - 1})")

    def _negate(self, test: ast.expr) -> None:
        if not isinstance(test, ast.Compare | ast.UnaryOp):
            self._add(test, f"not ({ast.unparse(test)})")


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _logs(call: ast.Call) -> bool:
    return (
        isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in _LOGGERS
    )
