"""Checks every `az` command of the documents and hooks against the parser of the Azure CLI: names, arguments, choices.

    $(AZ_PYTHON) infra/checks/azure_commands.py FILE...

Runs with the interpreter of the Azure CLI, without network and without signing in. Extensions that are not installed
are listed; with --strict their commands are failures. Values are not checked: `$NAME` and `<placeholder>` pass.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_FENCE = re.compile(r"^```(?:bash|sh)\n(.*?)^```$|^((?: {4}.*\n)+)", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(az [a-z][^`]*)`")
_COMMAND = re.compile(r"(?:^|[;|&(]|\bdo|\bthen|\bif|\buntil|\{)\s*(az\s)", re.MULTILINE)
EXTENSIONS = {"communication": "communication", "grafana": "amg"}
OPTIONS = {"--enable-application-load-balancer": "aks-preview"}


def scripts_of(path: Path) -> Iterator[str]:
    """The shell text of a script, or of the code blocks and inline commands of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        yield "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        return
    for block, indented in _FENCE.findall(text):
        yield "\n".join(re.sub(r"\s#\s.*$", "", line) for line in (block or indented).splitlines())
    for inline in _INLINE.findall(_FENCE.sub("", text)):
        yield " ".join(inline.split())


def commands_in(script: str) -> Iterator[list[str]]:
    """The arguments of each `az` command, those in `$(...)` included."""
    script = re.sub(r"<[a-z][^<>\n]*>", "placeholder", script.replace("\\\n", " "))
    for match in _COMMAND.finditer(script):
        yield _words(script, match.start(1))


def _words(script: str, at: int) -> list[str]:
    """The words from `at` to the end of the command. `$(...)` and quoted text belong to their word."""
    words, word, quote, depth = [], "", "", 0
    for char in script[at:] + "\n":
        if quote:
            if char == quote:
                quote = ""
            else:
                word += char
        elif depth:
            depth += {"(": 1, ")": -1}.get(char, 0)
        elif char in "\"'":
            quote = char
            word = word or " "
        elif char == "(" and word.endswith("$"):
            depth = 1
        elif char in " \t\n;|)&>":
            redirected = char == ">" and word.isdigit()
            if word and not redirected:
                words.append(word.removeprefix(" "))
            word = ""
            if char not in " \t":
                break
        else:
            word += char
    return words


def problem(words: list[str]) -> str | None:
    """The parser's message, or None."""
    from azure.cli.core import get_default_cli  # type: ignore[import-untyped,import-not-found,unused-ignore]

    cli = get_default_cli()
    invocation = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
    )
    cli.invocation = invocation
    arguments = words[1:]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            invocation.commands_loader.load_command_table(arguments)
            name = invocation._rudimentary_get_command(arguments)
            cli.invocation.data["command_string"] = name
            invocation.commands_loader.load_arguments(name)
            invocation.parser.load_command_table(invocation.commands_loader)
            invocation.parser.parse_args(arguments)
        except SystemExit as stopped:
            return said.getvalue().strip().splitlines()[0] if stopped.code else None
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return None


def extension_of(words: list[str]) -> str | None:
    by_option = next((name for option, name in OPTIONS.items() if option in words), None)
    return EXTENSIONS.get(words[1]) or by_option


def main(arguments: list[str]) -> int:
    strict = "--strict" in arguments
    # The Azure CLI may replace the streams.
    out, err = sys.stdout, sys.stderr
    failed, unchecked, checked = [], set(), 0
    for path in [Path(name) for name in arguments if name != "--strict"]:
        for script in scripts_of(path):
            for words in commands_in(script):
                if "…" in words or len(words) < 2:
                    continue
                checked += 1
                message = problem(words)
                extension = extension_of(words)
                if message and extension and not strict:
                    unchecked.add(extension)
                elif message:
                    failed.append(f"{path}: {message}\n    {' '.join(words)[:200]}")
    out.write(f"{checked} az commands\n")
    if unchecked:
        out.write(f"not checked, because these extensions are not installed: {', '.join(sorted(unchecked))}\n")
    err.writelines(f"{line}\n" for line in failed)
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
