from __future__ import annotations

from pathlib import Path

import pytest

from lab.ports import free_port
from lab.stack_process import Process, probe_of


@pytest.mark.parametrize(("name", "probe"), [("redis", ""), ("acs", "/healthz"), ("agent-relay", "/readyz")])
def test_the_probe_depends_on_the_process(name: str, probe: str) -> None:
    assert probe_of(name) == probe


def test_the_tail_of_a_log_ends_with_its_path(tmp_path: Path) -> None:
    log = tmp_path / "acs.log"
    assert Process("acs", 1, None, log).log_tail() == "(no log)"
    log.write_text("".join(f"line {number}\n" for number in range(20)))
    assert Process("acs", 1, None, log).log_tail(2) == f"  line 18\n  line 19\n  (whole log: {log})"


def test_a_process_that_does_not_answer_has_status_0() -> None:
    process = Process("acs", free_port(), None, probe="/healthz")
    assert (process.status(), process.pid, process.listens) == (0, 0, True)
