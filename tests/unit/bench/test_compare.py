from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.bridges import Bridge
from bench.compare import Checkout, CompareError, compare, figures, run_checkout, table
from bench.runs import Options, Run

MakeRun = Callable[..., Run]
CPU = "40 calls, deltas: CPU, ms/s/call"
OPTIONS = Options(calls=(40,), seconds=3.0)


def results(*runs: Run | dict[str, Any], failed: tuple[str, ...] = ()) -> dict[str, Any]:
    dicts = [run if isinstance(run, dict) else asdict(run) for run in runs]
    return {"whole": {"calls": {"runs": dicts, "failures": list(failed)}}}


def waits_for_both(log: Path) -> str:
    """Shell code that waits until the other checkout runs as well, and fails after 10 s."""
    begun = " = ".join(f'"$(grep -c ^{side} "{log}")"' for side in ("before", "after"))
    return f"for i in $(seq 100); do [ {begun} ] && break; sleep 0.1; done; [ $i -lt 100 ] || exit 9"


def checkout(
    folder: Path, found: dict[str, Any], *, setting: str = "", exit_code: int = 0, together: bool = False
) -> Checkout:
    """A checkout whose interpreter stores these results, and appends its call to a log that all checkouts share."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(found))
    python.write_text(
        "#!/bin/sh\n"
        f'echo "{folder.name} $SETTING $PYTHONPATH $*" >> "{folder.parent}/log"\n'
        f"{waits_for_both(folder.parent / 'log') if together else ':'}\n"
        'while [ "$1" != --json ]; do shift; done\n'
        f'cp results.json "$2"\necho broken >&2; exit {exit_code}\n'
    )
    python.chmod(0o755)
    return Checkout(folder, {"SETTING": setting})


def test_figures_are_ours_and_the_same_beside_the_reference(call_run: MakeRun) -> None:
    found = figures(results(call_run(cpu_ms=8.0, p99=6.0), call_run(Bridge.REFERENCE, cpu_ms=16.0, p99=3.0)))
    assert found[CPU] == 8.0
    assert found[f"{CPU}, beside the reference bridge"] == 0.5
    assert found["40 calls, deltas: uplink p99, ms"] == 6.0
    assert found["40 calls, deltas: downlink p99, ms, beside the reference bridge"] == 2.0
    assert found["40 calls, deltas: CPU of media-gateway, ms/s/call"] == 4.0
    assert "40 calls, deltas: CPU of media-gateway, ms/s/call, beside the reference bridge" not in found
    assert "40 calls, deltas: frames at fault, beside the reference bridge" not in found, "nothing has no ratio"


def test_a_measurement_of_one_case_has_plain_names() -> None:
    runs = [Run({}, bridge, {"answer p50, ms": ms}) for bridge, ms in zip(Bridge, (14.0, 2.0), strict=True)]
    assert figures(results(*runs)) == {"answer p50, ms": 14.0, "answer p50, ms, beside the reference bridge": 7.0}


def test_of_an_older_benchmark_the_unfiltered_figures_count() -> None:
    def older(bridge: Bridge, cpu_ms: float) -> dict[str, Any]:
        delays = {"p50": 3.0, "p95": 9.0, "p99": 30.0}
        unfiltered = {"cpu_together_ms": cpu_ms, "uplink": delays, "downlink": delays}
        return {"calls": 40, "shape": "deltas", "bridge": bridge, "cpu_together_ms": 1.0, "all_time": unfiltered}

    found = figures(results(older(Bridge.OURS, 9.0), older(Bridge.REFERENCE, 18.0)))
    assert found[CPU] == 9.0
    assert found[f"{CPU}, beside the reference bridge"] == 0.5
    assert found["40 calls, deltas: uplink p99, ms"] == 30.0


def test_the_verdict_is_that_of_the_pairs() -> None:
    same = [({"a, ms": base}, {"a, ms": base * ratio}) for base, ratio in ((1.0, 1.0), (9.0, 1.001), (3.0, 0.999))]
    slower = [({"a, ms": base}, {"a, ms": base * ratio}) for base, ratio in ((1.0, 1.1), (9.0, 1.11), (3.0, 1.09))]
    noisy = [({"a, ms": base}, {"a, ms": base * ratio}) for base, ratio in ((1.0, 1.5), (9.0, 0.7), (3.0, 1.1))]
    assert [table(pairs, 3.0).rows[0][-1] for pairs in (same, slower, noisy)] == ["no", "yes", "undecided"]
    assert table(slower, 20.0).rows[0][-1] == "no"
    assert table(slower, 3.0).rows[0][:3] == ["a, ms", "4.33 (1.00–9.00)", "4.79 (1.10–9.99)"]
    assert table(slower, 3.0).columns[-1] == "slower by more than 3 %"


def test_counts_and_figures_that_one_side_lacks_are_shown_without_a_ratio() -> None:
    before = {"one, ms": 1.0, "two, ms": 2.0, "two calls: zero, ms": 0.0, "two calls: faults": 1}
    rows = table([(before, {"one, ms": 1.0, "two calls: zero, ms": 1.0, "two calls: faults": 2})], 3.0).rows
    assert rows == [
        ["one, ms", "1.00", "1.00", "1.000", "undecided"],
        ["two, ms", "2.00", "", "", ""],
        ["two calls: zero, ms", "0.00", "1.00", "", ""],
        ["two calls: faults", "1", "2", "", ""],
    ]


def test_both_run_at_the_same_time_and_each_has_its_own_environment(tmp_path: Path, call_run: MakeRun) -> None:
    reference = call_run(Bridge.REFERENCE, cpu_ms=10.0)
    before = checkout(tmp_path / "before", results(call_run(cpu_ms=8.0), reference), setting="one", together=True)
    after = checkout(tmp_path / "after", results(call_run(cpu_ms=9.0), reference), setting="two", together=True)
    (after.folder / "out" / "as-shipped").mkdir(parents=True)
    pairs = compare(before, after, 2, ["calls", "set-up"], OPTIONS)
    assert [(old[CPU], new[CPU]) for old, new in pairs] == [(8.0, 9.0)] * 2
    lines = sorted((tmp_path / "log").read_text().splitlines())
    assert [line.split()[0] for line in lines] == ["after", "after", "before", "before"]
    assert lines[2].startswith("before one  -m bench calls set-up --runs 1")
    assert lines[0].startswith(f"after two {after.folder}/out/as-shipped -m bench calls set-up")
    assert lines[2].endswith("--seconds 3.0 --calls 40")


def test_a_checkout_that_fails_is_an_error_with_its_output(tmp_path: Path) -> None:
    with pytest.raises(CompareError, match="broken"):
        run_checkout(checkout(tmp_path / "broken", {}, exit_code=1), ["calls"], OPTIONS)
    with pytest.raises(CompareError, match="ours, echo: died"):
        run_checkout(checkout(tmp_path / "stale", results(failed=("ours, echo: died",))), ["calls"], OPTIONS)
    with pytest.raises(CompareError, match="make install"):
        run_checkout(Checkout(tmp_path / "nothing", {}), ["calls"], OPTIONS)
