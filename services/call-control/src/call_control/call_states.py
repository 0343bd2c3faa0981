"""Generates docs/call-states.md: the call machine's table as a Mermaid diagram and a list.

python -m call_control.call_states > docs/call-states.md
"""

from __future__ import annotations

import sys

from bridge_common.wire.call_record import Status
from call_control.core.machine.call_actions import Row
from call_control.core.machine.call_table import TABLE

_TITLE = """# Call states

Generated from the table in `services/call-control/src/call_control/core/machine/call_table.py` by
`python -m call_control.call_states`; a test compares them. `End` releases the call's relay and closes its streams; it
is issued once, whenever a call leaves ringing, answering, connected and transferring.
"""


def page() -> str:
    return f"{_TITLE}\n```mermaid\n{mermaid()}```\n\n{listing()}"


def mermaid() -> str:
    lines = ["stateDiagram-v2", f"    [*] --> {Status.RINGING}"]
    moves: dict[tuple[Status, Status], list[str]] = {}
    for row in TABLE:
        if row.at is not row.to:
            kinds = moves.setdefault((row.at, row.to), [])
            if row.on.value not in kinds:
                kinds.append(row.on.value)
    for (at, to), kinds in moves.items():
        # A colon would end the label.
        lines.append(f"    {at} --> {to}: {'<br/>'.join(kind.replace(':', ',') for kind in kinds)}")
    lines.append(f"    {Status.ENDED} --> [*]")
    return "\n".join(lines) + "\n"


def listing() -> str:
    head = "| status | event | guard | next status | actions |\n| --- | --- | --- | --- | --- |\n"
    return head + "".join(f"| {_cells(row)} |\n" for row in TABLE)


def _cells(row: Row) -> str:
    guard = _words(row.when.__name__) if row.when else ""
    return " | ".join([row.at, row.on.value, guard, row.to, ", ".join(_words(action.__name__) for action in row.do)])


def _words(name: str) -> str:
    return name.replace("_", " ")


if __name__ == "__main__":
    sys.stdout.write(page())
