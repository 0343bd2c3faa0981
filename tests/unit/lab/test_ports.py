from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import ports
from lab.ports import NoPortError, PortBlock, free_port


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Ports that count as taken. Without it a test would depend on what else runs on the machine."""
    ports_taken: set[int] = set()
    monkeypatch.setattr(ports, "can_be_had", lambda port: port not in ports_taken)
    return ports_taken


@pytest.fixture
def block(tmp_path: Path, taken: set[int]) -> Iterator[PortBlock]:
    block = PortBlock(tmp_path)
    yield block
    block.close()


def _asked_elsewhere(times: int) -> set[int]:
    """What another process is given."""
    code = f"from lab.ports import free_port\nfor _ in range({times}): print(free_port())"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {int(line) for line in told.stdout.split()}


def test_two_processes_are_never_given_the_same_port() -> None:
    ours = {free_port() for _ in range(50)}
    assert len(ours) == 50
    theirs = _asked_elsewhere(50)
    assert len(theirs) == 50
    assert not ours & theirs


def test_all_blocks_are_below_the_ephemeral_ports_of_linux() -> None:
    assert ports._FIRST + ports._BLOCK * ports._BLOCKS <= 32_768


def test_a_taken_port_is_skipped(block: PortBlock, taken: set[int]) -> None:
    first = block.next()
    taken.add(first + 1)
    assert block.next() == first + 2


def test_a_port_with_a_listener_is_taken() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        assert not ports.can_be_had(listener.getsockname()[1])


def test_a_block_begins_again_after_its_last_port(block: PortBlock) -> None:
    assert [block.next() for _ in range(ports._BLOCK + 1)][:: ports._BLOCK] == [ports._FIRST] * 2


def test_a_block_without_a_port_says_so(block: PortBlock, taken: set[int]) -> None:
    taken.update(range(ports._FIRST, ports._FIRST + ports._BLOCK))
    with pytest.raises(NoPortError, match="left running"):
        block.next()


def test_a_block_that_is_given_back_is_the_next_ones(tmp_path: Path, block: PortBlock) -> None:
    second = PortBlock(tmp_path)
    assert second.next() == ports._FIRST + ports._BLOCK
    second.close()
    third = PortBlock(tmp_path)
    assert third.next() == ports._FIRST + ports._BLOCK
    third.close()


def test_without_a_block_left_it_says_so(tmp_path: Path, block: PortBlock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_BLOCKS", 1)
    with pytest.raises(NoPortError, match="1 processes hold"):
        PortBlock(tmp_path)


def test_a_lock_of_another_user_is_passed_over(
    tmp_path: Path, taken: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuses(path: Path, flags: int, mode: int) -> int:
        if path.name == "lab-ports-0.lock":
            raise PermissionError
        return opened(path, flags, mode)

    monkeypatch.setattr("lab.ports.os.open", refuses)
    block = PortBlock(tmp_path)
    assert block.next() == ports._FIRST + ports._BLOCK
    block.close()
