"""Two numbers with agents of different modes on one relay: routed by number, header, holiday and share; reloaded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from lab.stack import API_KEY, Ports, Stack, running
from lab.wire import Json
from tests.support.eventually import eventually

SALES, SUPPORT, OFFICE = "+18005550001", "+18005550002", "+18005550003"
PROFILES: Final = """
sales:
  target: {agent: sales-agent, project: lab-project}
  greeting: {text: Sales.}
  goodbye_text: Goodbye from Sales.
support: &support
  target: {model: gpt-realtime}
  greeting: {text: Support.}
support-new:
  <<: *support
  greeting: {text: The new support.}
gold:
  target: {azure_openai_deployment: gold-desk}
  greeting: null
"""
POLICY: Final = f"""
time_zone: Europe/Berlin
human_agents: {{phone: +18005550009}}
rules:
  - {{name: closed, called: "{OFFICE}", holidays: [{{country: DE}}, 12-24], redirect: human_agents}}
  - {{name: gold, header: {{X-Tier: gold}}, agent: gold}}
  - {{name: sales, called: "{SALES}", agent: sales}}
  - {{name: support, agents: {{support: 50, support-new: 50}}}}
"""
NEW_GREETING: Final = "Hello from the new sales."
NEW_GOODBYE: Final = "Farewell."


class Office:
    """The callers, the operator API and the simulated Voice Live."""

    def __init__(self, stack: Stack, profiles: Path) -> None:
        self.profiles = profiles
        self._relay_log = stack.folder / "agent-relay.log"
        self._placed: list[str] = []
        self._acs = httpx.Client(base_url=stack.url("acs"), trust_env=False)
        self._operator = httpx.Client(
            base_url=stack.url("call-control"), headers={"X-Api-Key": API_KEY}, timeout=30, trust_env=False
        )
        self._voice_live = httpx.Client(base_url=stack.url("voice-live"), trust_env=False)
        self._relay = httpx.Client(base_url=stack.url("agent-relay"), trust_env=False)

    async def close(self) -> None:
        """Hang up every call, so that the relay need not wait for them when it is stopped."""
        for lab_id in self._placed:
            self._acs.post(f"/lab/calls/{lab_id}/hangup")

        def ended() -> bool:
            return all(call["status"] == "ended" for call in self._calls())

        await eventually(ended, within_s=20, what="the end of every call")
        for client in (self._acs, self._operator, self._voice_live, self._relay):
            client.close()

    async def call(self, number: str, caller: str = "+14255550100", **event: object) -> Json:
        """Place a call that stays; returns its record once it is connected with its voice session."""
        known = {call["call_id"] for call in self._calls()}
        body = {"from": caller, "to": number, "audio": "silence", **event}
        reply = self._acs.post("/lab/calls", json=body)
        assert reply.status_code == 201, reply.text
        self._placed.append(reply.json()["id"])

        async def connected() -> Json | None:
            found = [call for call in self._calls() if call["call_id"] not in known]
            return next((call for call in found if call["connected_ms"] and call["voice_session_id"]), None)

        found = await eventually(connected, within_s=20, what=f"a connected call of {number}")
        assert found is not None
        return found

    def record(self, call: Json) -> Json:
        found: Json = self._operator.get(f"/api/calls/{call['call_id']}").raise_for_status().json()
        return found

    def _calls(self) -> list[Json]:
        found: list[Json] = self._operator.get("/api/calls").raise_for_status().json()["calls"]
        return found

    def session(self, call: Json) -> Json:
        sessions: list[Json] = self._voice_live.get("/lab/sessions").raise_for_status().json()["sessions"]
        return next(one for one in sessions if one["id"] == call["voice_session_id"])

    def preview(self, **call: object) -> Json:
        found: Json = self._operator.post("/api/routing/preview", json=call).raise_for_status().json()
        return found

    async def says(self, call: Json, text: str) -> None:
        def said() -> bool:
            entries = (
                self._operator.get(f"/api/calls/{call['call_id']}/transcript").raise_for_status().json()["entries"]
            )
            return any(text in entry.get("text", "").lower() for entry in entries)

        await eventually(said, within_s=20, what=f"the agent says {text!r}")

    def hang_up(self, call: Json) -> None:
        """Let the agent say goodbye; `says` shows with which profile."""
        self._operator.post(f"/api/calls/{call['call_id']}/actions", json={"action": "hang_up"}).raise_for_status()

    def faults_of_profiles(self) -> list[str]:
        """Reasons that the relay has logged for profiles that it did not adopt."""
        rows = [json.loads(line) for line in self._relay_log.read_text().splitlines() if line.startswith("{")]
        return [row["reason"] for row in rows if row["message"].startswith("agent profiles not reloaded")]

    def reloaded(self) -> bool:
        """Whether the profiles file was valid when it was read last."""
        return "bridge_relay_profiles_last_reload_successful 1.0" in self._relay.get("/metrics").text


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    profiles, policy = tmp_path / "profiles.yaml", tmp_path / "routing.yaml"
    profiles.write_text(PROFILES)
    policy.write_text(POLICY)
    extra = {
        "call-control": {"ROUTING_POLICY": str(policy), "ROUTING_KEY": "the key of the end-to-end test"},
        "agent-relay": {"AGENT_PROFILES_FILE": str(profiles)},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REDIS_URL", raising=False)
        with running(Stack(Ports.free(), tmp_path, extra)) as stack:
            office = Office(stack, profiles)
            yield office
            await office.close()
            assert stack.dead() == []


@pytest.mark.timeout(180)
async def test_two_numbers_with_agents_of_different_modes(office: Office) -> None:
    sales = await office.call(SALES)
    assert (sales["profile"], sales["route"]["rule"]) == ("sales", "sales")
    assert (office.session(sales)["agent"], office.session(sales)["model"]) == ("sales-agent", None)
    await office.says(sales, "sales.")

    gold = await office.call(SALES, customContext={"sipHeaders": {"x-tier": "Gold"}})
    assert (gold["profile"], gold["route"]["rule"]) == ("gold", "gold")
    assert office.session(gold)["model"] == "gold-desk"

    by_caller: dict[str, str] = {}
    for caller in [f"+1425555{number:04d}" for number in (1, 2, 3, 4, 5, 6, 1, 2, 3)]:
        support = await office.call(SUPPORT, caller)
        assert by_caller.setdefault(caller, support["profile"]) == support["profile"], "the share is sticky"
        assert office.session(support)["model"] == "gpt-realtime"
        assert len(support["profile_version"]) == 12
    assert set(by_caller.values()) == {"support", "support-new"}
    await office.says(support, "support.")

    for caller, profile in by_caller.items():
        assert office.preview(caller=caller, callee=SUPPORT, at="2026-11-30T12:00:00Z")["agent"] == profile
    closed = office.preview(callee=OFFICE, at="2026-12-25T12:00:00+01:00")
    assert (closed["rule"], closed["target"]) == ("closed", "4:+18005550009")
    assert office.preview(callee=SALES, headers={"X-Tier": "gold"}, at="2026-11-30T12:00:00Z")["agent"] == "gold"


@pytest.mark.timeout(180)
async def test_running_calls_keep_their_profile_and_new_ones_have_the_new_one(office: Office) -> None:
    before = [await office.call(SALES, f"+1425555{number:04d}") for number in range(20)]
    [version] = {call["profile_version"] for call in before}

    office.profiles.write_text(PROFILES.replace("greeting: {text: Sales.}", "greeting: {txt: 1}"))
    await eventually(lambda: not office.reloaded(), within_s=20, what="the mistake is noticed")
    [fault] = office.faults_of_profiles()
    assert "sales.greeting" in fault
    assert "txt" in fault
    assert (await office.call(SALES))["profile_version"] == version

    renewed = PROFILES.replace("{text: Sales.}", f"{{text: {NEW_GREETING}}}")
    office.profiles.write_text(renewed.replace("Goodbye from Sales.", NEW_GOODBYE))
    await eventually(office.reloaded, within_s=20, what="the new file is in force")
    new = await office.call(SALES)
    assert new["profile_version"] != version
    await office.says(new, NEW_GREETING.lower())
    for call in before:
        record = office.record(call)
        assert (record["status"], record["profile_version"]) == ("connected", version)
        assert record["voice_session_id"] == call["voice_session_id"]
    for call, goodbye in ((before[0], "goodbye from sales."), (new, NEW_GOODBYE.lower())):
        office.hang_up(call)
        await office.says(call, goodbye)
