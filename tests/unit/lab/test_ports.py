from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ports import BLOCK_PORTS, BLOCKS, FIRST_PORT, NoPortError, PortBlock, can_be_had, free_port


@pytest.fixture
def taken() -> set[int]:
    """The ports in use, set by the test instead of read from the machine."""
    return set()


@pytest.fixture
def block(tmp_path: Path, taken: set[int]) -> Iterator[PortBlock]:
    block = _block(tmp_path, taken)
    yield block
    block.close()


def _block(folder: Path, taken: set[int]) -> PortBlock:
    return PortBlock(folder, is_free=lambda port: port not in taken)


def _ports_of_another_process(times: int) -> set[int]:
    code = f"from lab.ports import free_port\nfor _ in range({times}): print(free_port())"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {int(line) for line in printed.stdout.split()}


def test_two_processes_never_get_the_same_port() -> None:
    ours = {free_port() for _ in range(50)}
    assert len(ours) == 50
    theirs = _ports_of_another_process(50)
    assert len(theirs) == 50
    assert not ours & theirs


def test_all_blocks_are_below_the_ephemeral_ports_of_linux() -> None:
    assert FIRST_PORT + BLOCK_PORTS * BLOCKS <= 32_768


def test_a_taken_port_is_skipped(block: PortBlock, taken: set[int]) -> None:
    first = block.next()
    taken.add(first + 1)
    assert block.next() == first + 2


def test_a_port_with_a_listener_is_taken() -> None:
    with socket.socket() as listener:
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # Servers set this as well: connections in TIME_WAIT do not block the port.
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        assert not can_be_had(listener.getsockname()[1])


def test_a_block_begins_again_after_its_last_port(block: PortBlock) -> None:
    assert [block.next() for _ in range(BLOCK_PORTS + 1)][::BLOCK_PORTS] == [FIRST_PORT] * 2


def test_a_block_without_a_free_port_is_an_error(block: PortBlock, taken: set[int]) -> None:
    taken.update(range(FIRST_PORT, FIRST_PORT + BLOCK_PORTS))
    with pytest.raises(NoPortError, match="all 200 ports"):
        block.next()


def test_a_released_block_is_reused(tmp_path: Path, taken: set[int], block: PortBlock) -> None:
    for _ in range(2):
        another = _block(tmp_path, taken)
        assert another.next() == FIRST_PORT + BLOCK_PORTS
        another.close()


def test_no_free_block_is_an_error(tmp_path: Path, block: PortBlock) -> None:
    with pytest.raises(NoPortError, match="all 1 blocks"):
        PortBlock(tmp_path, blocks=1)


def test_a_lock_of_another_user_is_skipped(tmp_path: Path, taken: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def refuses(path: Path, flags: int, mode: int) -> int:
        if path.name == "lab-ports-0.lock":
            raise PermissionError
        return opened(path, flags, mode)

    monkeypatch.setattr("lab.ports.os.open", refuses)
    block = _block(tmp_path, taken)
    assert block.next() == FIRST_PORT + BLOCK_PORTS
    block.close()
