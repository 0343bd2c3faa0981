"""Decodes YAML from untrusted senders to plain values: mappings, sequences, strings, booleans and null.

The cost is limited by the number of nodes. Aliases and merge keys are not allowed, because a few hundred bytes of them
expand to millions of nodes. Tags are not allowed, because each selects another constructor with its own errors.
"""

from __future__ import annotations

from typing import Final

import yaml

MOST_NODES: Final = 20_000
DEEPEST: Final = 20
_TAG: Final = "tag:yaml.org,2002:"
_TEXT, _BOOL, _NULL = f"{_TAG}str", f"{_TAG}bool", f"{_TAG}null"
_PLURAL_TAGS: Final[dict[type[yaml.Node], str]] = {yaml.SequenceNode: f"{_TAG}seq", yaml.MappingNode: f"{_TAG}map"}
_TRUE: Final = frozenset({"yes", "true", "on"})


class PlainYaml(yaml.SafeLoader):
    """Reads one document. Numbers and times remain strings: `+18005551212` is not an integer, `20:00` is not 1,200.

    `nodes`: number of nodes so far.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # the class attribute that PyYAML reads
        first: [(tag, pattern) for tag, pattern in resolvers if tag in (_BOOL, _NULL)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = 0
        self._depth = 0

    def value(self) -> object:
        """Return the document as plain values, `None` if it is empty. Raises `yaml.YAMLError`."""
        node = self.get_single_node()
        return None if node is None else self._value(node)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs of PyYAML lack it
        if self.check_event(yaml.AliasEvent):
            raise _refusal("aliases (*name) are not allowed; write the value again", mark)
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise _refusal(f"the text has more than {MOST_NODES} values", mark)
        if self._depth == DEEPEST:
            raise _refusal(f"values are nested deeper than {DEEPEST} levels", mark)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _value(self, node: yaml.Node) -> object:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag != _PLURAL_TAGS[type(node)]:
            raise _refusal("tags (!name) are not allowed; remove the tag", node.start_mark)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item) for item in node.value]
        found: dict[str, object] = {}
        for key, value in node.value:
            name = _name(key)
            if name in found:
                raise _refusal(f"field {name[:40]!r} occurs twice; remove one of them", key.start_mark)
            found[name] = self._value(value)
        return found

    def _scalar(self, node: yaml.ScalarNode) -> object:
        text: str = node.value
        if node.tag == _TEXT:
            return text
        if node.tag not in (_BOOL, _NULL):
            raise _refusal("tags (!name) are not allowed; remove the tag", node.start_mark)
        if self.resolve(yaml.ScalarNode, text, (True, False)) != node.tag:  # type: ignore[no-untyped-call]
            raise _refusal("the value does not match its tag; remove the tag", node.start_mark)
        return None if node.tag == _NULL else text.lower() in _TRUE


def _name(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
        raise _refusal("field names must be strings", key.start_mark)
    name: str = key.value
    if name == "<<":
        raise _refusal("merge keys (<<) are not allowed; write the fields again", key.start_mark)
    return name


def _refusal(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
