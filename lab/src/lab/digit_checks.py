"""Checks that digits which the caller typed for a tool reach that tool and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from lab.call_checks import CallCheck
from lab.metric_checks import SERVICES
from lab.observed_call import ObservedCall
from lab.wire import Json, call_json, raw, rows

_BETWEEN: Final = r"\D{0,4}"
"""The digits are also found if they are written in groups."""


def masked_digits_checks(call: ObservedCall, digits: str, record: Json, transcript: list[Json]) -> Iterator[CallCheck]:
    stack = call.stack
    known = call_json("GET", f"{stack.url('business')}/lab/requests")
    cards = [row.get("card_number") for row in rows(known.get("payments", []))]
    yield CallCheck("the tool receives the digits once", cards == [digits], f"{len(cards)} payments")
    api = f"{stack.url('call-control')}/api/calls"
    texts = {
        "the agent's conversation": str(call.voice),
        "the transcript": str(transcript),
        "the record": str(record),
        "the operator API": "".join(
            raw("GET", f"{api}{path}").decode() for path in ("", *(f"/{record['call_id']}{one}" for one in _PATHS))
        ),
        **{f"the log of {name}": _log(call, name) for name in SERVICES},
    }
    found = [name for name, text in texts.items() if contains(text, digits)]
    silent = [name for name, text in texts.items() if not text]
    figure = f"found in {', '.join(found)}" if found else f"searched {len(texts)} places"
    yield CallCheck("nothing else has the digits", not found and not silent, figure)


def contains(text: str, digits: str) -> bool:
    """Return whether the text has the digits, also in groups or one in each place of a list."""
    return re.search(_BETWEEN.join(digits), text) is not None


_PATHS: Final = ("", "/transcript", "/actions")


def _log(call: ObservedCall, service: str) -> str:
    paths: Mapping[str, str] = {one.name: one.log_path.read_text() for one in call.stack.processes if one.log_path}
    return paths.get(service, "")
