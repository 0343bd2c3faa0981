from __future__ import annotations

from bench.alone import cpu_table, memory_table, summary, told
from bench.alone_driver import GATEWAY, RELAY
from bench.bridges import Shape
from bench.limits import table
from bench.stream_memory import StreamMemory
from tests.unit.support.alone_runs import alone_run

SIZES = (20, 50, 100, 200)
RUNS = [
    alone_run(service, calls, ms)
    for service in (RELAY, GATEWAY)
    for calls, ms in ((20, 4.0), (200, 3.0), (20, 5.0), (200, 2.0), (20, 4.5), (200, 2.7))
]


def test_growth_compares_medians_at_many_and_few() -> None:
    growth = summary(RUNS, SIZES)["growth"]
    assert growth[GATEWAY][Shape.DELTAS] == {"ratio": 0.6, "calls_per_core": 370, "kept_up": True}
    assert set(growth) == {GATEWAY, RELAY}
    limits = table({"alone": summary(RUNS, SIZES)})
    assert limits is not None
    assert [row for row in limits.rows if row[3] == "yes"] == [
        [f"{service} alone, deltas: CPU per call at 200 calls to that at 20, ratio", "0.60", "1.1", "yes", ""]
        for service in (GATEWAY, RELAY)
    ]


def test_a_run_that_did_not_keep_up_is_told_everywhere() -> None:
    slow = alone_run(GATEWAY, 200, 1.0, handled=0.5)
    assert "DID NOT KEEP UP" in told(slow)
    assert "DID NOT" not in told(RUNS[0])
    assert summary([alone_run(GATEWAY, 20, 4.0), slow], SIZES)["growth"][GATEWAY][Shape.DELTAS]["kept_up"] is False
    assert cpu_table([slow]).rows[0][-1] == "NO"


def test_what_was_late_may_be_as_much_as_fell_into_the_time_that_does_not_count() -> None:
    assert alone_run(GATEWAY, 200, 1.0, sent=0.94).kept_up
    assert not alone_run(GATEWAY, 200, 1.0, sent=0.92).kept_up
    assert not alone_run(GATEWAY, 200, 1.0, handled=0.94).kept_up, "what is late is handled later, not never"


def test_without_both_sizes_there_is_no_growth() -> None:
    assert summary([alone_run(GATEWAY, 20, 4.0)], (20,))["growth"] == {}


def test_a_size_that_failed_is_no_ratio_that_was_kept() -> None:
    failed = summary([alone_run(GATEWAY, 20, 4.0)], SIZES)
    assert failed["growth"][GATEWAY][Shape.DELTAS] == {"ratio": None, "calls_per_core": None, "kept_up": False}
    limits = table({"alone": failed})
    assert limits is not None
    assert {row[3] for row in limits.rows} == {"NO"}
    assert cpu_table(RUNS, ["200 calls: it died"]).notes[-1].endswith("it died")


def test_tables_have_a_row_for_each_service_and_size() -> None:
    cpu = cpu_table(RUNS)
    assert [row[0] for row in cpu.rows] == [
        f"{service}, deltas, {calls} calls" for service in (GATEWAY, RELAY) for calls in (20, 200)
    ]
    assert cpu.rows[1][:6] == [f"{GATEWAY}, deltas, 200 calls", "2.70 (2.00–3.00)", "0.80", "1.00", "0.60", 370]
    memory = memory_table(RUNS, {Shape.DELTAS: StreamMemory(0.24, 2.88)})
    assert memory.rows[0][1:] == ["80.0", "82.0", "0.100", "110", "50"]
    assert "3.12 MB" in memory.notes[0]
    for made in (cpu, memory):
        assert all(len(row) == len(made.columns) for row in made.rows)
