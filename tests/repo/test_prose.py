"""The prose checker: its rules match their examples, it reads all kinds of prose, and its baseline only shrinks."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import prose

RULES = prose.load_rules()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.write)
def test_a_rule_finds_its_bad_examples_and_accepts_the_good_ones(rule: prose.Rule) -> None:
    assert rule.bad
    assert rule.good
    assert rule.kinds
    assert rule.kinds <= prose.KINDS
    name, mark = ("a.md", "") if "docs" in rule.kinds else ("a.yaml", "# ")
    for text in rule.bad:
        assert _found(name, mark + text, [rule]), text
    for text in rule.good:
        assert not _found(name, mark + text, [rule]), text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "It is sent\nanew."),
        ("a.md", "- item\n    continued anew"),
        ("a.md", "```sh\nls\n```\nanew"),
        ("a.py", '"""Sent anew."""'),
        ("a.py", 'class A:\n    b = 1\n    """Sent\n    anew."""'),
        ("a.py", "# Sent\n# anew."),
        ("a.py", "a = 1  # sent anew"),
        ("a.py", 'log.warning("sent anew", extra=fields(a=1))'),
        ("a.py", 'log.info(f"{name} sent anew")'),
        ("a.py", 'log.info("sent" if once else "sent anew")'),
        ("a.py", 'raise InputError(f"send {name} anew")'),
        ("a.py", 'raise Refused("send it anew")'),
        ("a.py", 'problem = ValueError("send it " "anew")'),
        ("a.py", 'assert sent, "not sent anew"'),
        ("a.py", 'parser.add_argument("--a", help="send anew")'),
        ("a.py", 'a: int = Field(1, description="send anew")'),
        ("a.py", 'SENT = Counter("sent", "Frames sent anew")'),
        ("a.py", 'print("sent anew")'),
        ("a.yaml", "a: 1\n# sent anew"),
        ("a.toml", "# sent anew"),
        (".env.example", "# sent anew"),
        ("Makefile", "# sent anew"),
        ("b/Dockerfile", "# sent anew"),
        ("a.lua", "-- sent anew"),
        ("a.h", "/* sent anew */"),
    ],
)
def test_every_kind_of_prose_is_checked(name: str, text: str) -> None:
    assert len(_found(name, text)) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "`anew` and ``x anew`` [link](anew) https://example.com/anew"),
        ("a.md", 'The caller asks: "Shall I begin anew?"'),
        ("a.md", "```text\nanew\n```"),
        ("a.md", "Run:\n\n    make anew\n"),
        ("a.md", "<!-- prose: allow -->\nanew"),
        ("a.py", "anew = 1"),
        ("a.py", 'a = {"told anew": 1}'),
        ("a.py", 'log.info("event", extra=fields(text="sent anew"))'),
        ("a.py", 'raise KeyError("anew")'),
        ("a.py", 'print("sent anew")  # prose: allow'),
        ("a.yaml", "anew: 1"),
        ("a.json", '"anew"'),
    ],
)
def test_code_names_and_quotations_are_not_prose(name: str, text: str) -> None:
    assert not _found(name, text)


def test_a_finding_names_the_place_the_words_and_the_remedy() -> None:
    assert _found("docs/a.md", "# Title\n\nIt tells\nthe relay.\n\nSent anew.") == [
        'docs/a.md:3: "tells": write notify, report, publish, log or distinguish',
        'docs/a.md:6: "anew": write again or new',
    ]
    assert _found("a.py", 'a = 1\n\n\ndef f():\n    """One.\n\n    Two anew.\n    """\n')[0].startswith("a.py:7: ")


def test_long_lines_of_documentation_are_found_outside_code_and_tables() -> None:
    line = "word " * 30
    assert [finding.split(": ")[0] for finding in _found("a.md", f"short\n{line}\n")] == ["a.md:2"]
    for text in (f"| {line} |", f"```\n{line}\n```", "[a](https://" + "x" * 130 + ")"):
        assert not _found("a.md", text), text


def test_the_command_fails_for_a_file_with_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("Sent again.\n", encoding="utf-8")
    assert prose.main([str(page)]) == 0
    page.write_text("Sent anew.\n", encoding="utf-8")
    assert prose.main([str(page)]) == 1
    assert capsys.readouterr().out == f'{page}:1: "anew": write again or new\n'


def _found(name: str, text: str, rules: list[prose.Rule] = RULES) -> list[str]:
    return prose.check(name, text, rules)
