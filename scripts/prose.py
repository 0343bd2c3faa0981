"""Checks what people read in this repository against the rules of scripts/prose.toml.

    python scripts/prose.py             # all files
    python scripts/prose.py FILE …      # these files

It reads documentation, docstrings, comments, and the texts of logs, errors and help. Code in backticks, code blocks,
quotations and links are not prose. `prose: allow` in a line, or in the line before, accepts its wording.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
RULES: Final = HERE / "prose.toml"
KINDS: Final = frozenset({"docs", "docstring", "comment", "log", "error", "help"})
LONGEST_LINE: Final = 120
ALLOW: Final = "prose: allow"

_CODE = re.compile(r"```.*?```|``[^`]+``|`[^`]+`|\]\([^)\s]*\)|<!--.*?-->|https?://\S+", re.DOTALL)
_QUOTATION = re.compile(r'"[^"\n]*"|“[^”\n]*”')
_BLANK = re.compile(r"\(\?<[!=][^)]*\)| ")  # look-behinds have a fixed width
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_METRICS = {"Counter", "Gauge", "Histogram", "Summary"}
_COMMENT_SIGNS = {".h": r"//|/?\*+/?", ".c": r"//|/?\*+/?", ".lua": r"--", ".mjs": r"//|/?\*+/?"}
_HASH_FILES = {".yaml", ".yml", ".toml", ".sh", ".ini", ".in", ".pyx", ".pxd", ".example", ".dockerignore"}
_HASH_NAMES = {"Makefile", "Dockerfile", ".gitignore"}


@dataclass(frozen=True)
class Block:
    kind: str
    line: int
    text: str


@dataclass(frozen=True)
class Rule:
    pattern: re.Pattern[str]
    write: str
    kinds: frozenset[str]
    bad: tuple[str, ...]
    good: tuple[str, ...]


def load_rules(path: Path = RULES) -> list[Rule]:
    """In a pattern, a blank also matches the end of a line, and `{start}` the start of a sentence or list item."""
    # Possessive (`*+`), and only from the first of several line breaks: retrying in long blanks would take seconds.
    start = r"(?:\A\s*+|(?<=[.!?])\s++|(?<!\n)\n[ \t]*+\n\s*+|\n[ \t]*+(?:[-*#]++|\d++\.)\s++)(?:[-*#]++\s++)?\**"
    blank = r"(?:[ \t]+|[ \t]*\n[ \t]*)"
    rules = []
    for rule in tomllib.loads(path.read_text(encoding="utf-8"))["rule"]:
        pattern = _BLANK.sub(lambda match: blank if match[0] == " " else match[0], rule["pattern"])
        pattern = pattern.replace("{start}", start)
        kinds = frozenset(rule.get("in", KINDS))
        compiled = re.compile(pattern, re.IGNORECASE)
        rules.append(Rule(compiled, rule["write"], kinds, tuple(rule["bad"]), tuple(rule["good"])))
    return rules


def blocks(path: Path, text: str) -> Iterator[Block]:
    if path.suffix == ".md":
        yield Block("docs", 1, _prose(_without_code_blocks(text)))
    elif path.suffix in {".py", ".pyi"}:
        yield from _comments(text)
        yield from _strings(ast.parse(text))
    elif signs := _COMMENT_SIGNS.get(path.suffix) or (
        r"#+" if path.suffix in _HASH_FILES or path.name in _HASH_NAMES else None
    ):
        marked = re.compile(rf"^(\s*)({signs})(?=\s|$)")
        lines = [marked.sub(r"\1 ", line) if marked.match(line) else "" for line in text.splitlines()]
        yield Block("comment", 1, _prose("\n".join(lines)))


def check(name: str, text: str, rules: list[Rule]) -> list[str]:
    """The findings in one file, in the order of their lines."""
    lines = text.splitlines()
    found = []
    for block in blocks(Path(name), text):
        for rule in rules if block.text else ():
            for match in rule.pattern.finditer(block.text) if block.kind in rule.kinds else ():
                words = match[0].strip()
                line = block.line + block.text.count("\n", 0, match.end() - len(match[0].lstrip()))
                if not any(ALLOW in near for near in lines[max(0, line - 2) : line]):
                    found.append((line, " ".join(words.split()), rule.write))
    if name.endswith(".md"):
        for number, line_text in enumerate(_without_code_blocks(text).splitlines(), 1):
            if len(line_text) > LONGEST_LINE and not line_text.startswith("|") and " " in line_text[2:LONGEST_LINE]:
                found.append((number, f"{line_text[:30]}…", f"lines of at most {LONGEST_LINE} characters"))
    return [f'{name}:{line}: "{words}": write {write}' for line, words, write in sorted(found)]


def _prose(text: str) -> str:
    """The text with code, links and quotations blanked, at the same lines."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", "·", match[0])

    text = _CODE.sub(blank, text)
    return "\n".join(line if line.count('"') % 2 else _QUOTATION.sub(blank, line) for line in text.split("\n"))


def _without_code_blocks(text: str) -> str:
    lines, fence, in_list = [], "", False
    for line in text.splitlines():
        opening = re.match(r"\s*(```+|~~~+)", line)
        if fence or opening:
            fence = "" if fence and line.strip() == fence else fence or (opening[1] if opening else "")
            line = ""
        elif line.startswith("    ") and not in_list:
            line = ""
        elif line.strip() and not line.startswith(" "):
            in_list = re.match(r"[-*+] |\d+\. ", line) is not None
        lines.append(line)
    return "\n".join(lines)


def _comments(text: str) -> Iterator[Block]:
    """Comments in lines that follow each other are one block."""
    first, rows = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            if rows and token.start[0] != first + len(rows):
                yield Block("comment", first, _prose("\n".join(rows)))
                rows = []
            first = first if rows else token.start[0]
            rows.append(token.string.lstrip("#!: "))
    if rows:
        yield Block("comment", first, _prose("\n".join(rows)))


def _strings(tree: ast.Module) -> Iterator[Block]:
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield Block("docstring", node.lineno, _prose(text))
            case ast.Call(func=ast.Attribute(attr=name), args=[first, *_]) if name in _LOG_METHODS:
                yield from _texts("log", first)
            case ast.Call(func=ast.Name(id=name), args=[_, second, *_]) if name in _METRICS:
                yield from _texts("help", second)
            case ast.Call(func=ast.Name(id="print")) | ast.Call(func=ast.Attribute(attr="exit")):
                yield from _texts("help", *node.args)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name.endswith(("Error", "Exception")):
                yield from _texts("error", *node.args)
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=args)) if not name.endswith("Error"):
                yield from _texts("error", *args)
            case ast.Assert(msg=ast.expr() as message):
                yield from _texts("error", message)
            case ast.keyword(arg="help" | "description" | "epilog", value=value):
                yield from _texts("help", value)
            case _:
                pass


def _texts(kind: str, *nodes: ast.AST) -> Iterator[Block]:
    """String literals with more than one word; a value within an f-string is `…`."""
    for node in nodes:
        if isinstance(node, ast.Constant | ast.JoinedStr):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
            if " " in text:
                yield Block(kind, node.lineno, _CODE.sub(lambda match: "·" * len(match[0]), text))
        else:
            yield from _texts(kind, *ast.iter_child_nodes(node))


def tracked(root: Path) -> list[str]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in names.split("\0") if name and (root / name).is_file())


def check_all(root: Path, rules: list[Rule], names: list[str]) -> dict[str, list[str]]:
    findings = {}
    for name in names:
        try:
            text = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if found := check(name, text, rules):
            findings[name] = found
    return findings


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check prose against scripts/prose.toml.")
    parser.add_argument("files", nargs="*", help="check only these files")
    options = parser.parse_args(argv)
    findings = check_all(HERE.parent, load_rules(), options.files or tracked(HERE.parent))
    lines = [line for found in findings.values() for line in found]
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
