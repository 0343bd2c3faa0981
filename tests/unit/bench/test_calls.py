from __future__ import annotations

from bench.bridges import Bridge
from bench.calls import tables, told
from bench_runs import made_run


def test_repeats_become_medians_and_ratios_to_the_reference() -> None:
    ours = [made_run(cpu_ms=ms) for ms in (8.0, 9.0, 7.0)]
    reference = [made_run(Bridge.REFERENCE, cpu_ms=ms) for ms in (16.0, 17.0, 15.0)]
    runs = [run for pair in zip(ours, reference, strict=True) for run in pair]
    cpu, delay, memory, frames = tables(runs)
    assert cpu.columns[-3:] == ["together", "ratio", "simulators"]
    assert [row[0] for row in cpu.rows] == ["40 calls, deltas, ours", "40 calls, deltas, reference"]
    assert [row[-3:-1] for row in cpu.rows] == [["8.0 (7.0–9.0)", "0.50"], ["16.0 (15.0–17.0)", "1.00"]]
    assert delay.rows[0][1:] == ["3.0", "5.0", "7.0", "3.0", "5.0", "7.0", "190", "0"]
    assert [row[0] for row in memory.rows][-1] == "40 calls, deltas, reference-bridge"
    assert memory.rows[0][1:] == ["80.0", "84.0", "0.100"]
    assert frames.rows[0] == ["40 calls, deltas, ours, uplink", 1500, 0, 0, 0, 0]
    for table in (cpu, delay, memory, frames):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_ours_alone_has_no_ratio() -> None:
    assert tables([made_run()])[0].rows[0][-2] == ""


def test_a_run_is_told_in_one_line() -> None:
    assert "8.0 ms/s/call" in told(made_run())
    assert "NOT CLEAN" in told(made_run(lost=1))
