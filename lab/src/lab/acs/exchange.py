"""The simulated resource: places calls, finds the leg of a call, and isolates calls from each other's failures."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence

from lab.acs.call_ends import HangUpForm
from lab.acs.caller_uplink import Audio
from lab.acs.calls import SimulatedCall
from lab.acs.dialing import dial
from lab.acs.event_grid_delivery import EventGrid
from lab.acs.forms import CallForms
from lab.acs.incoming_call_event import IncomingCallEventData
from lab.acs.leg import Leg
from lab.acs.party_identifiers import Identifier
from lab.acs.people import Scripts
from lab.acs.shared_state import SharedState
from lab.scenario import ScenarioStep

logger = logging.getLogger(__name__)
PLAIN = IncomingCallEventData()
NOBODY: Scripts = {}


class Exchange:
    def __init__(self, shared: SharedState, tasks: asyncio.TaskGroup) -> None:
        self.shared = shared
        self.event_grid = EventGrid(shared)
        self._tasks = tasks
        self._legs: dict[str, Leg] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._app = Identifier(f"8:acs:{shared.settings.acs_resource_id}_{uuid.uuid4()}")

    def place_inbound(
        self,
        caller: str,
        callee: str,
        steps: tuple[ScenarioStep, ...],
        audio: Audio,
        mark: int,
        record: bool = False,
        announcement: IncomingCallEventData = PLAIN,
        hang_up: HangUpForm | None = None,
        *,
        forms: CallForms | None = None,
        scripts: Scripts = NOBODY,
    ) -> tuple[SimulatedCall, asyncio.Task[str | None]]:
        """Place a call to the application. The task returns the delivery error of Event Grid or `None`."""
        call = SimulatedCall(
            caller=Identifier.of(caller),
            callee=Identifier.of(callee),
            app=self._app,
            steps=steps,
            audio=audio,
            mark=mark,
            record=record,
            announcement=announcement,
            hang_up=hang_up,
            forms=forms,
            scripts=scripts,
            ring_timeout_s=self.shared.settings.ring_timeout_s,
        )
        self._start(call)
        delivery = self._tasks.create_task(self._deliver(call))
        self._keep(self._tasks.create_task(self._deliver_again(call, delivery)))
        return call, delivery

    def place_outbound(self, targets: Sequence[Identifier], source: Identifier | None) -> Leg:
        """Call `targets` on behalf of the application; they follow their scripts. `source`: caller id or Teams resource
        account.
        """
        target = targets[0]
        plan = self.shared.people.plan(target)
        call = SimulatedCall(
            caller=target,
            callee=source or self._app,
            app=self._app,
            steps=plan.script(),
            audio=plan.audio,
            mark=plan.mark,
            outbound=True,
            also_called=tuple(targets[1:]),
        )
        return self._start(call)

    def leg(self, call: SimulatedCall) -> Leg | None:
        """Return the leg of `call`; `None` if the call has ended."""
        return self._legs.get(call.id)

    def stop(self) -> None:
        for task in tuple(self._running):
            task.cancel()

    def _start(self, call: SimulatedCall) -> Leg:
        leg = Leg(call, self.shared, dial)
        self.shared.calls.add(call)
        self._legs[call.id] = leg
        self._keep(self._tasks.create_task(self._run(leg)))
        return leg

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, leg: Leg) -> None:
        try:
            await leg.run()
        except Exception:
            logger.exception("call simulation failed", extra={"call": leg.call.id})
            leg.call.note("lab_error", reason="the call simulation failed; see the log of the simulated ACS")
        finally:
            del self._legs[leg.call.id]

    async def _deliver(self, call: SimulatedCall) -> str | None:
        try:
            return await self.event_grid.deliver(call)
        except Exception as error:
            logger.exception("event delivery failed", extra={"call": call.id})
            return f"{type(error).__name__}: {error}"

    async def _deliver_again(self, call: SimulatedCall, delivery: asyncio.Task[str | None]) -> None:
        """Make the second and last delivery attempt of Event Grid, if the call still rings."""
        try:
            if await asyncio.shield(delivery) is None:
                return
            await asyncio.sleep(self.shared.settings.event_grid_retry_s)
            if not call.decided.is_set() and self.event_grid.retries(call):
                await self._deliver(call)
        finally:
            delivery.cancel()
