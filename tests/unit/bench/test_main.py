"""The command: measurements, stored results, comparison of checkouts, wrong arguments."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import compare
from bench.bridges import Bridge
from bench.runs import Options, Outcome, Run


def test_measurements_are_printed_and_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Options] = []

    def measure(options: Options) -> Outcome:
        seen.append(options)
        return Outcome("Calls", [Run({"calls": 2}, Bridge.OURS, {"one": 1.5})], compared=False)

    path = tmp_path / "out" / "bench.json"
    command = ["calls", "--calls", "2", "3", "--seconds", "4", "--runs", "1", "--json", str(path)]
    assert bench.main(command, measurements={"calls": measure}) == 0
    assert seen == [Options(calls=[2, 3], seconds=4.0, runs=1)]
    stored = json.loads(path.read_text(encoding="utf-8"))
    run = {"labels": {"calls": 2}, "bridge": "ours", "figures": {"one": 1.5}}
    assert stored["whole"]["calls"]["runs"] == [run]
    assert stored["options"]["calls"] == [2, 3]
    assert "2 calls, ours  1.50" in capsys.readouterr().out


def test_results_become_a_page(tmp_path: Path) -> None:
    outcome = Outcome("Alone", [Run({"service": "redis", "calls": 20}, Bridge.OURS, {"CPU": 4.5})], compared=False)
    results = {"at_unix_s": 1, "machine": [], "options": {}, "whole": {"alone": asdict(outcome)}}
    path, page = tmp_path / "bench.json", tmp_path / "RESULTS.md"
    path.write_text(json.dumps(results))
    assert bench.main(["--write-results", "--json", str(path)], page=page) == 0
    assert "| redis, 20 calls, ours | 4.50 |" in page.read_text(encoding="utf-8")


def test_missing_results_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "RESULTS.md"
    assert bench.main(["--write-results", "--json", str(tmp_path / "none.json")], page=page) == 1
    assert "none.json not found" in capsys.readouterr().err
    assert not page.exists()


def test_two_checkouts_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given: list[object] = []

    def compared(*arguments: object) -> list[tuple[dict[str, float], dict[str, float]]]:
        given.extend(arguments)
        return [({"CPU, ms": 10.0}, {"CPU, ms": 11.0}), ({"CPU, ms": 20.0}, {"CPU, ms": 22.0})]

    path = tmp_path / "pairs.json"
    command = ["compare", "one", "two", "--pairs", "2", "--after-env", "A=1", "B=", "--tolerance", "5"]
    assert bench.main([*command, "--json", str(path)], compare_checkouts=compared) == 0
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
