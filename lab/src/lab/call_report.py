"""The report on an ended call: its checks, its recording and its transcript."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.call_checks import CallCheck, check_call
from lab.heard_audio import read_recording
from lab.metric_checks import MetricsBefore
from lab.observed_call import ObservedCall, save_recording
from lab.scenario import Scenario
from lab.story import outcome_checks
from lab.tool_checks import tool_checks
from lab.unanswered_call import expected_checks, outcome_of, unchecked
from lab.wire import Json

SETTLE_S: Final = 2.0
"""A call's resources are released within this time after its end."""


@dataclass(frozen=True, slots=True)
class CallReport:
    scenario: Scenario
    record: Json
    checks: tuple[CallCheck, ...]
    unanswered: str = ""
    """The outcome of a call that was not answered although the scenario expects it."""
    transcript_path: Path | None = None
    wav_path: Path | None = None
    seconds: float = 0.0
    """Length of the recording."""

    @property
    def broken(self) -> list[CallCheck]:
        return [check for check in self.checks if not check.holds]

    @property
    def passed(self) -> bool:
        return not self.unanswered and not self.broken

    def lines(self) -> list[str]:
        if self.unanswered:
            return [self.unanswered]
        text = self.transcript_path.read_text(encoding="utf-8") if self.transcript_path else ""
        length = f"caller left, agent right, {self.seconds:.1f} s"
        listen = [f"Listen to {self.wav_path} ({length}); read {self.transcript_path}\n"] if self.wav_path else []
        checks = [f"  {'ok ' if check.holds else 'NOT'}  {check.claim}: {check.figure}" for check in self.checks]
        return [*(["\nTranscript\n" + text] if text else []), *listen, *checks]


def report_on(call: ObservedCall, scenario: Scenario, out: Path, before: MetricsBefore | None = None) -> CallReport:
    """Check an ended call. `before`: also compare the metrics. Writes recording and transcript into `out`."""
    record, transcript = _settled(call)
    if outcome := outcome_of(call, record):
        if scenario.expect.state is not None:
            return CallReport(scenario, record, tuple(expected_checks(call, scenario, record)))
        claims = unchecked(call, scenario)
        return CallReport(scenario, record, (), f"{outcome}\n{len(claims)} checks could not run: {'; '.join(claims)}.")
    wav_path = out / f"{scenario.name}.wav"
    recording = read_recording(save_recording(call, wav_path))
    transcript_path = _write_transcript(out / f"{scenario.name}.txt", transcript)
    of_agent = read_recording(call.recording(others=False)) if call.people() else recording
    checks = check_call(call, scenario, of_agent, transcript)
    checks.append(
        CallCheck(
            "call-control reports the call as ended", record.get("status") == "ended", str(record.get("end_reason"))
        )
    )
    checks += outcome_checks(call, scenario, record, transcript, recording)
    checks += tool_checks(scenario.expect.tools, call.sessions())
    if before is not None:
        checks += before.checks(call, transcript)
    return CallReport(scenario, record, tuple(checks), "", transcript_path, wav_path, recording.seconds)


def _settled(call: ObservedCall) -> tuple[Json, list[Json]]:
    """Return the record and the transcript when call-control reports the call as ended, or after `SETTLE_S`."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        record = call.record()
        if record.get("status") == "ended" or time.monotonic() > deadline:
            call.poll()
            return record, call.transcript(str(record["call_id"])) if record else []
        time.sleep(0.05)


def _write_transcript(path: Path, transcript: list[Json]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    # Speech is transcribed late, possibly after a key that was pressed later: sort by the start time.
    for row in sorted(transcript, key=lambda row: int(row.get("at_ms", 0))):
        if row.get("role"):
            heard = f" — interrupted after {row['heard_ms']} ms" if row.get("interrupted") else ""
            first, frame = row.get("first_delta_ms", -1), row.get("first_frame_ms", -1)
            latency = (
                f"  [{first} ms to the first delta, {frame} ms to the first frame]" if first and first >= 0 else ""
            )
            lines.append(f"  {row['role']:>6}: {row['text']}{heard}{latency}")
        else:
            lines.append(f"          ({row.get('what')}: {row.get('detail')})")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
