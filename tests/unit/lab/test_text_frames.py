from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from lab.text_frames import FrameSplitter, WireFrame, encode_client_text, encode_server_text

SIZES = [0, 1, 125, 126, 1500, 65_535, 65_536, 70_000]


def opened(server: bool) -> ServerProtocol | ClientProtocol:
    state = State.OPEN
    return ServerProtocol(state=state) if server else ClientProtocol(parse_uri("ws://localhost/"), state=state)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("by_client", [True, False])
def test_the_library_reads_what_is_written_and_back(size: int, by_client: bool) -> None:
    text = b"x" * size
    written = encode_client_text(text) if by_client else encode_server_text(text)
    library = opened(server=by_client)
    library.receive_data(written)
    (frame,) = library.events_received()
    assert isinstance(frame, Frame)
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (Opcode.TEXT, True, text)
    assert [one.text for one in FrameSplitter(1 << 20).feed(written)] == [text]


@given(data=st.data(), texts=st.lists(st.binary(max_size=300), max_size=6))
def test_frames_are_whole_however_the_bytes_are_cut(data: st.DataObject, texts: list[bytes]) -> None:
    ping = b"\x89\x02hi"
    stream = ping.join(encode_client_text(text) for text in texts)
    splitter, found, at = FrameSplitter(1 << 20), list[WireFrame](), 0
    while at < len(stream):
        step = data.draw(st.integers(1, 400))
        found += splitter.feed(stream[at : at + step])
        at += step
    assert [one.text for one in found if one.text is not None] == texts
    assert [one.raw for one in found if one.text is None] == [ping] * max(0, len(texts) - 1)
    assert b"".join(one.raw for one in found) == stream


def test_fragments_and_other_kinds_are_passed_on() -> None:
    for head in (0x01, 0x80, 0x82, 0x88, 0xC1):
        raw = bytes((head, 3)) + b"abc"
        assert list(FrameSplitter(100).feed(raw)) == [WireFrame(raw, None)]


def test_a_frame_that_is_too_large_is_left_to_the_library() -> None:
    splitter = FrameSplitter(10)
    begin = encode_server_text(b"x" * 500)[:20]
    assert list(splitter.feed(begin)) == [WireFrame(begin, None)]
    assert list(splitter.feed(b"more")) == [WireFrame(b"more", None)]
