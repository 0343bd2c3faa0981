from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench
from bench import compare
from bench.bridges import Bridge
from bench.runs import Options, Outcome, Run


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """The options that the only measurement was given."""
    given: list[Options] = []

    def measure(options: Options) -> Outcome:
        given.append(options)
        return Outcome("Calls", [Run({"calls": 2}, Bridge.OURS, {"one": 1.5})], compared=False)

    monkeypatch.setattr(bench, "MEASUREMENTS", {"calls": measure})
    return given


def test_what_was_measured_is_printed_and_stored(
    seen: list[Options], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out" / "bench.json"
    command = ["calls", "--calls", "2", "3", "--seconds", "4", "--runs", "1", "--json", str(path)]
    assert bench.main(command) == 0
    assert seen == [Options(calls=[2, 3], seconds=4.0, runs=1)]
    stored = json.loads(path.read_text(encoding="utf-8"))
    run = {"labels": {"calls": 2}, "bridge": "ours", "figures": {"one": 1.5}}
    assert stored["whole"]["calls"]["runs"] == [run]
    assert stored["options"]["calls"] == [2, 3]
    assert "2 calls, ours  1.50" in capsys.readouterr().out


def test_results_become_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizing_figures: dict[str, Any]
) -> None:
    results = {"at_unix_s": 1, "machine": [], "options": {}, "whole": sizing_figures}
    path, page, sizing = tmp_path / "bench.json", tmp_path / "RESULTS.md", tmp_path / "sizing.md"
    path.write_text(json.dumps(results))
    sizing.write_text("<!-- figures -->\n<!-- end of figures -->\n")
    monkeypatch.setattr(bench, "RESULTS_PATH", page)
    monkeypatch.setattr("bench.sizing_page.PAGE", sizing)
    assert bench.main(["--write-results", "--json", str(path)]) == 0
    assert "| media-gateway, deltas, 20 calls, ours | 4.50 |" in page.read_text(encoding="utf-8")
    assert "| media-gateway: pods | 2 | 7 | 54 |" in sizing.read_text(encoding="utf-8")


def test_the_plan_is_printed_from_stored_figures(
    tmp_path: Path, sizing_figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps({"whole": sizing_figures}))
    assert bench.main(["sizing", "--json", str(path)]) == 0
    assert "media-gateway: pods" in capsys.readouterr().out


def test_missing_figures_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["sizing", "--json", str(tmp_path / "none.json")]) == 1
    assert "none.json not found" in capsys.readouterr().err


def test_two_checkouts_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[object] = []

    def measured(*arguments: object) -> list[tuple[dict[str, float], dict[str, float]]]:
        given.extend(arguments)
        return [({"CPU, ms": 10.0}, {"CPU, ms": 11.0}), ({"CPU, ms": 20.0}, {"CPU, ms": 22.0})]

    monkeypatch.setattr(compare, "compare", measured)
    path = tmp_path / "pairs.json"
    command = ["compare", "one", "two", "--pairs", "2", "--after-env", "A=1", "B=", "--tolerance", "5"]
    assert bench.main([*command, "--json", str(path)]) == 0
    sides = [compare.Checkout(Path("one"), {}), compare.Checkout(Path("two"), {"A": "1", "B": ""})]
    assert given == [*sides, 2, ["calls"], Options()]
    assert "1.100 (1.100 to 1.100)" in capsys.readouterr().out
    assert len(json.loads(path.read_text())) == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["unknown"], "invalid choice: 'unknown'"),
        (["calls", "--calls", "0"], "must be above 0, got 0"),
        (["compare", "one", "two", "--after-env", "A"], "must be NAME=VALUE, got A"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(arguments)
    assert reason in capsys.readouterr().err
