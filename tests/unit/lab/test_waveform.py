from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from lab.waveform import COLUMNS, draw, peaks

RATE_HZ = 16000


def test_each_column_shows_its_loudest_sample() -> None:
    samples = np.zeros(COLUMNS * 10, dtype=np.int16)
    samples[25] = -16384
    assert peaks(samples).nonzero()[0].tolist() == [2]
    assert peaks(samples)[2] == 0.5


def test_the_image_shows_both_lanes_where_they_sound() -> None:
    samples = np.zeros((RATE_HZ, 2), dtype=np.int16)
    samples[: RATE_HZ // 2, 0] = 8000
    samples[RATE_HZ // 2 :, 1] = 8000
    image = ElementTree.fromstring(draw(samples, RATE_HZ, [(0.5, "a < b")]))
    lanes = [path.get("d", "") for path in image.findall("{*}path") if path.get("fill")]
    caller, agent = [_tall(lane) for lane in lanes]
    assert max(caller) <= min(agent)
    assert "a < b" in {text.text for text in image.findall("{*}text")}


def test_a_silent_recording_can_be_drawn() -> None:
    assert "<path" in draw(np.zeros((100, 2), dtype=np.int16), RATE_HZ)


def _tall(lane: str) -> list[float]:
    """Return the x coordinate of each column that is higher than silence."""
    points = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", lane)]
    upper, lower = points[:COLUMNS], points[COLUMNS:][::-1]
    return [x for (x, top), (_, bottom) in zip(upper, lower, strict=True) if bottom - top > 2]
