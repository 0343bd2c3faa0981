"""Selection of the stack that `lab call` calls, and the messages about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import demo
from lab.cli import main
from lab.kept_stack import addresses, save_stack
from lab.scenario import Scenario
from lab.stack import PARTS, Ports, Stack
from lab.stack_process import Process


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack of another folder, which runs on the documented ports."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    stack = Stack(Ports(), folder)
    stack.processes = [Process(name, stack.port_of(name), None) for name in PARTS]
    save_stack(stack)
    for module in ("lab.demo", "lab.kept_stack"):
        monkeypatch.setattr(f"{module}.stack_folder", lambda _: folder)
    monkeypatch.setattr(demo, "not_ready", lambda _: [])
    monkeypatch.chdir(tmp_path)
    return stack


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of the stacks that were called."""
    folders: list[Path] = []

    def one_call(stack: Stack, _: Scenario, __: Path, *, play: bool) -> int:
        folders.append(stack.folder)
        return 0

    monkeypatch.setattr(demo, "run_call", one_call)
    return folders


def test_a_folder_without_a_stack_is_refused_with_the_command_that_works(
    elsewhere: Stack, called: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--folder", str(tmp_path / "mine"), "call"]) == 2
    printed = capsys.readouterr().err
    assert f"No stack of {tmp_path / 'mine'} is running." in printed
    assert f"--folder {elsewhere.folder} call` calls it" in printed
    assert called == []


def test_without_a_folder_the_stack_that_is_called_is_named(
    elsewhere: Stack, called: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["call"]) == 0
    assert f"Calling the stack of {elsewhere.folder} (http://127.0.0.1:8090)" in capsys.readouterr().out
    assert called == [elsewhere.folder]


def test_the_stack_of_the_folder_is_called_without_a_message(
    elsewhere: Stack, called: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--folder", str(elsewhere.folder), "call"]) == 0
    assert capsys.readouterr().out == ""
    assert called == [elsewhere.folder]


def test_faults_of_the_policy_are_reported_before_the_stack_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "mine.yaml"
    scenario.write_text(
        "name: mine\nstack:\n  routing:\n    targets:\n      desk: {phone: +14255550172, ring_s: 200}\n"
        "    rules: [{name: all, agent: default}]\n",
        encoding="utf-8",
    )
    assert main(["--folder", str(tmp_path / "lab"), "demo", str(scenario)]) == 2
    printed = capsys.readouterr()
    assert f"The scenario {scenario} is invalid:\n  line 5: `stack.routing.targets.desk.ring_s` must be" in printed.err
    assert "Starting" not in printed.out
    assert not (tmp_path / "lab").exists()


def test_nothing_is_up(
    called: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "Ports", Ports.free)
    monkeypatch.chdir(tmp_path)
    for command in (["call"], ["--folder", "mine", "call"]):
        assert main(command) == 2
        assert "`make up`" in capsys.readouterr().err
    assert called == []


def test_the_addresses_of_all_parts_are_listed_below_each_other(tmp_path: Path) -> None:
    ports = Ports(*range(20_001, 20_009))
    stack = Stack(ports, tmp_path)
    stack.processes = [Process("redis", ports.redis, None)]
    lines = addresses(stack)
    assert len(lines) == len(PARTS) + 1
    for name in ("redis", *PARTS):
        assert any(line.startswith(name) and f"127.0.0.1:{stack.port_of(name)}" in line for line in lines)
    assert len({line.index("://") - len(line.split()[1].split("://")[0]) for line in lines}) == 1
    stack.processes = []
    assert addresses(stack)[-1].endswith("the server of REDIS_URL")


def test_a_stack_that_never_started_leaves_no_folder(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for folder in (tmp_path / "new" / "demo", kept):
        stack = Stack(Ports.free(), folder, extra={})
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("lab.stack.start_server", _interrupted)
            patched.delenv("REDIS_URL", raising=False)
            with pytest.raises(KeyboardInterrupt):
                stack.start()
        stack.stop()
    assert list(tmp_path.iterdir()) == [kept]


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
