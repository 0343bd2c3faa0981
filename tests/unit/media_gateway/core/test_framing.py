from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media_gateway.core.framing import Framing


@given(st.lists(st.binary(max_size=2500), max_size=20))
def test_frames_join_to_what_was_fed(pieces: list[bytes]) -> None:
    framing = Framing(960)
    frames = [frame for piece in pieces for frame in framing.feed(piece)]
    fed = b"".join(pieces)
    assert all(len(frame) == 960 for frame in frames)
    assert b"".join(frames) == fed[: len(fed) // 960 * 960]
    assert framing.rest == fed[len(fed) // 960 * 960 :]
