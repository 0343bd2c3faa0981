"""Mutations of captured messages for the decoders: seeded, so that failures are reproducible, and fast enough for 10^6.

`make test` decodes 100,000 of them with each decoder. `FUZZ_INPUTS` sets another number, as in the nightly workflow,
which decodes a million.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Final

LITERALS: Final = (
    "null", "true", "false", "0", "-1", "1e999", "NaN", "1.5", "[]", "{}", '""', '"x"', '"\\ud800"', '"\\u0000"', '"é"',
    "[[[[[[", '{"a":', "9" * 40, "-0", "]", "}", ",", ":", '"', "\\", "\n", "\x00", "\ufeff", "//", "'",
)  # fmt: skip
NESTING: Final = 20_000
YAML_PIECES: Final = (
    *(
        "rules",
        "name",
        "called",
        "percent",
        "redirect",
        "people",
        "phone",
        "hours",
        "agent",
        "everyone_to_people",
        "human_agents",
        "kill_switch",
    ),
    *("!!int ", "!!float ", "!!bool ", "!!null ", "!!timestamp ", "!!set ", "!!omap ", "!!pairs ", "!!binary ", "! "),
    *("!!str ", "!!map ", "!!seq ", "!!merge ", "!!python/name:os ", "!<x> ", "!%41 ", "%TAG ! tag:x\n", "%YAML 1.1\n"),
    *(
        "&a ",
        "*a",
        "<<",
        ": ",
        "- ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\n",
        "\n  ",
        "\n    ",
        "---\n",
        "...\n",
        "#",
        "|",
        ">",
    ),
    *(
        '"\\ud800"',
        '"\\UFFFFFFFF"',
        '"',
        "'",
        "~",
        "yes",
        "null",
        "+1800*",
        "20:00-08:00",
        "25",
        "1e999",
        ".nan",
        "-",
        "",
    ),
)
"""Fragments whose random concatenations contain every kind of node and of syntax error."""


def inputs() -> int:
    return int(os.environ.get("FUZZ_INPUTS", "100000"))


def mutations(samples: Sequence[str], count: int, seed: int = 0) -> Iterator[str]:
    """Yield `count` messages, each a sample with one to three changes."""
    rng = random.Random(seed)
    pick, below = rng.choice, rng.random
    changes: tuple[Callable[[str, int, random.Random], str], ...] = (_flip, _literal, _cut, _repeat, _truncate, _case)
    for _ in range(count):
        text = pick(samples)
        for _ in range(int(below() * 3) + 1):
            text = pick(changes)(text, int(below() * len(text)), rng)
        yield text


def survives(decode: Callable[[str], object], samples: Sequence[str], refusal: type[Exception]) -> tuple[int, int]:
    """Decode mutations of `samples`. Each must either be decoded or raise `refusal`; any other exception fails. Return
    how many were decoded and how many were rejected.
    """
    decoded = refused = 0
    for text in chain(samples, _extremes(samples), mutations(samples, inputs())):
        try:
            decode(text)
            decoded += 1
        except refusal:
            refused += 1
        except Exception as error:
            raise AssertionError(f"the decoder raised {type(error).__name__} for {text[:2000]!r}") from error
    return decoded, refused


def _extremes(samples: Sequence[str]) -> Iterator[str]:
    """Return inputs that random changes rarely produce: deep nesting, great length, empty text."""
    yield from ("", " ", "[" * NESTING, '{"a":' * NESTING, "9" * NESTING, '"' + "\\ud800" * 100 + '"')
    for sample in samples:
        yield f" {sample}\n"
        yield sample + sample
        yield sample.replace("}", "," + '"x":1' * 3 + "}")
        yield sample[:-1] + ',"deep":' + "[" * 500 + "]" * 500 + sample[-1:]


def _flip(text: str, at: int, rng: random.Random) -> str:
    return text[:at] + chr(rng.randrange(256)) + text[at + 1 :]


def _literal(text: str, at: int, rng: random.Random) -> str:
    """Replace a value, from a colon to the next delimiter, by a random literal."""
    colon = text.find(":", at)
    if colon < 0:
        return text[:at] + rng.choice(LITERALS) + text[at:]
    ends = [end for end in (text.find(",", colon), text.find("}", colon)) if end >= 0]
    return text[: colon + 1] + rng.choice(LITERALS) + text[min(ends, default=len(text)) :]


def _cut(text: str, at: int, rng: random.Random) -> str:
    return text[:at] + text[at + rng.randrange(1, 12) :]


def _repeat(text: str, at: int, rng: random.Random) -> str:
    return text[: at + rng.randrange(1, 40)] + text[at:]


def _truncate(text: str, at: int, rng: random.Random) -> str:
    return text[:at] if rng.random() < 0.5 else text[at:]


def _case(text: str, at: int, rng: random.Random) -> str:
    return text[:at] + text[at : at + rng.randrange(1, 30)].swapcase() + text[at + 30 :]
