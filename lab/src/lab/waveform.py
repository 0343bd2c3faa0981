"""Draws a two-channel recording of a simulated call (caller left, agent right) as an SVG with a time axis.

python -m lab.waveform out/opening-hours.wav docs/images/opening-hours.svg --mark "7.9=barge-in"
"""

from __future__ import annotations

import argparse
import wave
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH, LANE, MARGIN, COLUMNS = 960, 80, 56, 450
TOP = 24
LANES = (("caller", "#2563eb"), ("agent", "#c2410c"))


def peaks(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the loudest sample of each column as a fraction of full scale."""
    columns = np.array_split(np.abs(samples.astype(np.float64)) / 32768, COLUMNS)
    return np.array([np.max(column) if column.size else 0.0 for column in columns])


def draw(samples: NDArray[np.int16], rate_hz: int, marks: Sequence[tuple[float, str]] = ()) -> str:
    """Return the SVG. `samples`: one row for each sample time, with the caller's and the agent's sample."""
    seconds = len(samples) / rate_hz
    height = TOP + LANE * len(LANES) + 24
    loudest = max(float(np.abs(samples.astype(np.float64)).max()) / 32768, 0.01)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for number, (name, color) in enumerate(LANES):
        middle = TOP + LANE * number + LANE // 2
        parts.append(f'<text x="8" y="{middle + 4}" fill="{color}">{name}</text>')
        parts.append(f'<path fill="{color}" d="{_outline(peaks(samples[:, number]) / loudest, middle)}"/>')
    parts += _axis(seconds, height)
    parts += _marks(marks, seconds, height)
    return "\n".join([*parts, "</svg>", ""])


def _outline(heights: NDArray[np.float64], middle: int) -> str:
    xs = [_x(number / COLUMNS) for number in range(COLUMNS)]
    reach = [max(round(float(height) * (LANE / 2 - 3), 1), 0.5) for height in heights]
    upper = [f"{x:g},{middle - y:g}" for x, y in zip(xs, reach, strict=True)]
    lower = [f"{x:g},{middle + y:g}" for x, y in zip(xs, reach, strict=True)]
    return f"M{' '.join(upper)} {' '.join(reversed(lower))}Z"


def _axis(seconds: float, height: int) -> Iterator[str]:
    for second in range(0, int(seconds) + 1, 2):
        yield f'<text x="{_x(second / seconds):g}" y="{height - 6}" fill="#555" text-anchor="middle">{second} s</text>'


def _marks(marks: Sequence[tuple[float, str]], seconds: float, height: int) -> Iterator[str]:
    for at, text in marks:
        x = _x(at / seconds)
        yield f'<path stroke="#555" stroke-dasharray="3 3" d="M{x:g},18V{height - 20}"/>'
        yield f'<text x="{x:g}" y="13" fill="#333" text-anchor="middle">{escape(text)}</text>'


def _x(share: float) -> float:
    return round(MARGIN + (WIDTH - MARGIN - 16) * share, 1)


def _mark(text: str) -> tuple[float, str]:
    at, _, label = text.partition("=")
    return float(at), label


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--mark", type=_mark, action="append", default=[], metavar="SECONDS=LABEL")
    arguments = parser.parse_args()
    with wave.open(str(arguments.recording)) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2").reshape(-1, 2)
        arguments.image.write_text(draw(samples, recording.getframerate(), arguments.mark), encoding="utf-8")


if __name__ == "__main__":
    main()
