"""Templates of `infra/` as syntax trees. The parser does not distinguish a string from a name: both are `str`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycep

Tree = dict[str, Any]


def load(folder: Path) -> dict[str, Tree]:
    """The tree of each template by its path in `folder`."""
    parser = pycep.BicepParser()
    return {
        path.relative_to(folder).as_posix(): dict(parser.parse(text=path.read_text(encoding="utf-8")))
        for path in sorted(folder.rglob("*.bicep"))
    }


def body(declaration: Tree) -> Tree:
    """The properties of a resource or module, without its loop and condition."""
    config: Tree = declaration["config"]
    while "loop_type" in config or set(config) == {"condition", "config"}:
        config = config["config"]
    return config


def keys(tree: Tree, value: Any) -> dict[str, Any]:
    """Resolve an expression to the properties of an object."""
    if isinstance(value, str):
        return keys(tree, tree["variables"][value]["value"])
    if "function" in value:
        parameters = value["function"]["parameters"].values()
        return {key: item for part in parameters if part for key, item in keys(tree, part).items()}
    if value.get("operator", {}).get("type") == "conditional":
        operands = value["operator"]["operands"]
        return keys(tree, operands["true_value"]) | keys(tree, operands["false_value"])
    return dict(value)


def resources(trees: dict[str, Tree], kind: str) -> Iterator[tuple[str, Tree]]:
    """The template and the properties of each resource of a type that the templates create."""
    for name, tree in trees.items():
        for declaration in tree.get("resources", {}).values():
            if declaration["type"] == kind and not declaration["existing"]:
                yield name, body(declaration)
