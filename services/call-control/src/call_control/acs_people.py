"""People in a call: transfers, invitations, hold, tones.

A call to a Teams resource account never has a caller id: ACS refuses it (400/8523). The number of the account is shown.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from azure.communication.callautomation import (
    DtmfTone,
    PhoneNumberIdentifier,
    TeamsPhoneCallDetails,
    TeamsPhoneCallerDetails,
)

from call_control.acs_requests import AcsRequests, party, repeatable
from call_control.core.calling_headers import TeamsDetails, calling_headers
from call_control.core.machine.call_events import RosterEntry
from call_control.core.transfer_context import TransferContext

_TONES: Final = {
    "0": DtmfTone.ZERO,
    "1": DtmfTone.ONE,
    "2": DtmfTone.TWO,
    "3": DtmfTone.THREE,
    "4": DtmfTone.FOUR,
    "5": DtmfTone.FIVE,
    "6": DtmfTone.SIX,
    "7": DtmfTone.SEVEN,
    "8": DtmfTone.EIGHT,
    "9": DtmfTone.NINE,
    "A": DtmfTone.A,
    "B": DtmfTone.B,
    "C": DtmfTone.C,
    "D": DtmfTone.D,
    "*": DtmfTone.ASTERISK,
    "#": DtmfTone.POUND,
}


class _WithoutOwnArgument(logging.Filter):
    """Drops the warning that the SDK logs about an argument of its own with each hold and resume."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (isinstance(record.args, tuple) and record.args[:1] == ("kwargs",))


logging.getLogger("azure.communication.callautomation._generated._utils.serialization").addFilter(_WithoutOwnArgument())


class AcsPeople(AcsRequests):
    """Methods raise `AcsError`. A repeated request with the same `request_id` has no effect; ACS has no such id for
    `hold`, `unhold` and `start_dtmf`.
    """

    async def transfer(
        self,
        connection_id: str,
        target: str,
        *,
        callee: str,
        transferee: str = "",
        context: TransferContext,
        operation_context: str,
        request_id: str,
    ) -> None:
        """Transfer the caller to `target`. `transferee`: who is transferred; required with more than two in the call.

        A callback reports whether the target has answered.
        """
        call, headers = self._call(connection_id), repeatable(request_id)
        await self._act(
            "transfer",
            lambda: call.transfer_call_to_participant(
                party(target),
                transferee=party(transferee) if transferee else None,
                source_caller_id_number=_caller_id(callee, target),
                operation_context=operation_context,
                headers=headers,
                **_calling_context(context, target),
            ),
        )

    async def add_participant(
        self,
        connection_id: str,
        target: str,
        *,
        callee: str,
        ring_s: int,
        context: TransferContext,
        operation_context: str,
        request_id: str,
    ) -> str:
        """Invite `target` into the call. Return the invitation id, empty if ACS sent none."""
        call, headers = self._call(connection_id), repeatable(request_id)
        invited = await self._act(
            "add participant",
            lambda: call.add_participant(
                party(target),
                invitation_timeout=ring_s,
                source_caller_id_number=_caller_id(callee, target),
                operation_context=operation_context,
                headers=headers,
                **_calling_context(context, target),
            ),
        )
        return (invited.invitation_id or "") if invited is not None else ""

    async def cancel_add(
        self, connection_id: str, invitation_id: str, *, operation_context: str, request_id: str
    ) -> None:
        call, headers = self._call(connection_id), repeatable(request_id)
        await self._act(
            "cancel invitation",
            lambda: call.cancel_add_participant_operation(
                invitation_id, operation_context=operation_context, headers=headers
            ),
        )

    async def remove_participant(
        self, connection_id: str, raw_id: str, *, operation_context: str, request_id: str
    ) -> None:
        call, headers = self._call(connection_id), repeatable(request_id)
        await self._act(
            "remove participant",
            lambda: call.remove_participant(party(raw_id), operation_context=operation_context, headers=headers),
        )

    async def participants(self, connection_id: str) -> tuple[RosterEntry, ...]:
        """Return everyone in the call, the application included. A person who is still ringing is not listed."""
        call = self._call(connection_id)

        async def listed() -> tuple[RosterEntry, ...]:
            try:
                return tuple(
                    [
                        RosterEntry(one.identifier.raw_id, bool(one.is_on_hold), bool(one.is_muted))
                        async for one in call.list_participants()
                        if one.identifier is not None and one.identifier.raw_id
                    ]
                )
            except (AttributeError, KeyError, TypeError) as error:
                # The SDK raises these for a 200 whose body is not a list of participants.
                raise ValueError(f"the list of participants could not be decoded: {error!r}") from error

        return await self._ask("list participants", listed)

    async def hold(self, connection_id: str, raw_id: str, *, operation_context: str) -> None:
        call = self._call(connection_id)
        await self._act("hold", lambda: call.hold(party(raw_id), operation_context=operation_context))

    async def unhold(self, connection_id: str, raw_id: str, *, operation_context: str) -> None:
        call = self._call(connection_id)
        await self._act("unhold", lambda: call.unhold(party(raw_id), operation_context=operation_context))

    async def mute(self, connection_id: str, raw_id: str, *, operation_context: str, request_id: str) -> None:
        """Mute a participant. ACS cannot unmute."""
        call, headers = self._call(connection_id), repeatable(request_id)
        await self._act(
            "mute",
            lambda: call.mute_participant(party(raw_id), operation_context=operation_context, headers=headers),
        )

    async def start_dtmf(self, connection_id: str, raw_id: str, *, operation_context: str) -> None:
        """Request a callback for each key that the participant presses, until the call ends."""
        call = self._call(connection_id)
        await self._act(
            "recognize keys",
            lambda: call.start_continuous_dtmf_recognition(party(raw_id), operation_context=operation_context),
        )

    async def send_dtmf(
        self, connection_id: str, tones: str, target: str, *, operation_context: str, request_id: str
    ) -> None:
        """Send tones to `target`, the raw id of a phone in the call. ACS reports the outcome with a callback."""
        call, headers = self._call(connection_id), repeatable(request_id)
        await self._act(
            "send tones",
            lambda: call.send_dtmf_tones(
                [_TONES[tone] for tone in tones],
                party(target),
                operation_context=operation_context,
                headers=headers,
            ),
        )


def _caller_id(callee: str, target: str) -> PhoneNumberIdentifier | None:
    """Return the called number, which belongs to the resource, for a phone; nothing for other targets and callees."""
    to_phone = target.startswith("4:") and callee.startswith("4:")
    return PhoneNumberIdentifier(callee.removeprefix("4:")) if to_phone else None


def _calling_context(context: TransferContext, target: str) -> dict[str, Any]:
    """Return the keyword arguments of the SDK."""
    shown = calling_headers(context, target)
    return {
        "sip_headers": dict(shown.sip) or None,
        "voip_headers": dict(shown.voip) or None,
        "teams_phone_call_details": _teams_details(shown.teams) if shown.teams is not None else None,
    }


def _teams_details(details: TeamsDetails) -> TeamsPhoneCallDetails:
    number = details.caller.removeprefix("4:")
    caller = None
    if number:
        name = details.caller_name or number
        caller = TeamsPhoneCallerDetails(caller=party(details.caller), name=name, phone_number=number)
    return TeamsPhoneCallDetails(
        teams_phone_caller=caller,
        session_id=details.session_id,
        call_topic=details.topic,
        call_context=details.summary,
    )
