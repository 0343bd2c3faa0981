"""Forms that the documentation of ACS leaves open, chosen by `PUT /lab/faults` (`forms`) for all calls, or by `forms`
of `POST /lab/calls` for one. No I/O.

The first value of each field is its default: what was recorded of ACS, otherwise what is documented.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CallForms(BaseModel):
    """Behavior of calls with several people."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roster: Literal["once", "flood", "stale"] = "once"
    """`flood`: five identical rosters in 2 s, with repeated and skipped sequence numbers; `stale`: a roster that lists
    a removed participant follows 0.4 s after the removal.
    """
    roster_delay_s: float = Field(default=0.0, ge=0)
    join_events: Literal["roster_first", "success_first", "roster_only", "success_only"] = "roster_first"
    cancel_events: Literal["succeeded", "both", "failed"] = "succeeded"
    """`both`: AddParticipantFailed beside CancelAddParticipantSucceeded; `failed`: the invitation continues."""
    invitation_timeout_s: float = Field(default=60.0, gt=0)
    """How long an invited person rings if the request sets no time-out."""
    transfer_timeout_s: float = Field(default=60.0, gt=0)
    outbound_limit: Literal["none", "throttled", "declined"] = "none"
    """The third person that is called with the same caller id at a time: no limit, 429, or 603/560603."""
    caller_id: Literal["accepted", "refused", "not_owned"] = "accepted"
    """A caller id for a phone number is rejected (400/8523), or the call to it fails (403/510403)."""

    failed_transfer: Literal["continues", "not_established", "ends"] = "continues"
    """The call after CallTransferFailed; `not_established`: 400/8501 for 3 s."""
    accepted_transfer: Literal["7015", "7000", "5002", "disconnected_first", "no_event"] = "7015"
    """Sub code of CallDisconnected after a transfer, its order, or no such event."""
    transfer_media: Literal["continues", "silent", "stops", "closed"] = "continues"
    """The media socket while the target rings."""
    transfer_close: Literal["closed", "cut"] = "closed"
    after_transfer: Literal["ends", "continues"] = "ends"
    """Whether the call of the caller and the target is simulated further, without the application."""
    group_transfer: Literal["accepted", "refused", "failed"] = "accepted"
    """A transfer out of a call of more than two: rejected (400/8585) or CallTransferFailed."""

    leaving: Literal["others_stay", "ends_call", "refused"] = "others_stay"
    """hang_up(False) with others left. `ends_call`: the call of the others ends after a second."""
    caller_leaves: Literal["others_stay", "ends_call"] = "others_stay"
    emptied_call: Literal["5010", "5002", "stays"] = "5010"
    """A call after its last participant was moved to another call."""
    hang_up_while_ringing: Literal["disconnected", "failed_too", "no_event", "refused"] = "disconnected"
    """hang_up of an outbound call that is not answered yet. `failed_too`: CreateCallFailed before CallDisconnected."""
    failed_create: Literal["failed_first", "disconnected_first", "failed_only", "disconnected_only"] = "failed_first"

    hold_events: Literal["audio", "roster_only", "failed"] = "audio"
    """`audio`: HoldAudioStarted and HoldAudioCompleted if the hold has a play source; `failed`: HoldFailed."""
    hold_scope: Literal["everyone", "agent"] = "everyone"
    """The voices that a party on hold does not hear."""
    play_to: Literal["named", "everyone"] = "named"
    play_with_stream: Literal["mixed", "prompt_only", "stream_only"] = "mixed"
    """Sound while a prompt and streamed audio play at the same time; the other one is lost."""

    refused_media: Literal["reported", "early", "redialed", "silent"] = "reported"
    """A media socket that the server refuses when streaming starts. `early`: reported before CallConnected; `redialed`:
    connected again up to `media_redial_attempts` times; `silent`: not reported, streaming counts as running.
    """
    silent_party: Literal["frames", "none"] = "frames"
    """Frames of a party that does not speak, in a call of more than two."""
    stopped_party: Literal["silent", "none", "continues"] = "silent"
    """Frames of a party that is muted or on hold."""
    frame_timing: Literal["together", "apart", "bursts"] = "together"
    """`apart`: different timestamps; `bursts`: three frames of one party every 60 ms."""
    own_audio: Literal["absent", "own_id", "mixed"] = "absent"
    """Audio of the application in the frames that it gets: none, under its own id, or in mixed audio."""
    mixed_id: Literal["absent", "null", "loudest"] = "absent"
    """`participantRawID` of mixed audio."""
    dtmf_id: Literal["absent", "present"] = "absent"
    """`participantRawID` of keys on the media socket."""
    join_frames_s: float = Field(default=0.0, ge=0)
    """Delay of the first frame of a party that joins."""
    join_media: Literal["continues", "gap", "redial"] = "continues"
    """The media socket when a third party joins: a gap of 1 s, or closed and connected again."""

    teams_targets: Literal["reached", "refused"] = "reached"
    """Teams users and queues in a call of a resource account; `refused`: AddParticipantFailed or CallTransferFailed."""
