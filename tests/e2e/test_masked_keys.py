"""A card number typed by the caller reaches the payment tool only: searched in all that the services leave behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import redis

from bridge_common.wire.entries import AudioFrame, Dtmf
from bridge_common.wire.entry_codec import decode
from lab.digit_checks import contains
from lab.metric_checks import SERVICES
from lab.observed_call import ObservedCall
from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioFunctionCall, ScenarioStep
from lab.stack import Stack
from lab.wire import call_json, raw
from tests.support.acting_calls import MODEL_MODE, EndedCall, acting_stack, run_call
from tests.support.eventually import eventually

CARD: Final = "4111111111111111"
PROFILES: Final = """
default:
  greeting: {text: Hello.}
  dtmf: masked
  tools:
    - name: pay
      description: Charges the card of the caller, who types its number.
      parameters: {type: object, properties: {amount: {type: integer}}}
      url: BUSINESS/payments
      keypad: {argument: card_number, min_digits: 13, max_digits: 19, ask_text: Type it.}
"""
VERBOSE: Final = {"LOG_LEVEL": "DEBUG", "LOG_TRANSCRIPTS": "true"}
PAY: Final = Reply(heard="I will pay.", call=ScenarioFunctionCall(name="pay", arguments={"amount": 20}))
ANSWERED: Final = ScenarioStep(wait_for="agent_ends", ms=600)
HANG_UP: Final = ScenarioStep(hang_up=True)
WANT: Final = (ScenarioStep(wait_for="agent_ends", ms=500), ScenarioStep(say="I will pay."), ANSWERED)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    relay = {**MODEL_MODE, **VERBOSE}
    with acting_stack(tmp_path_factory.mktemp("masked"), PROFILES, relay=relay, control=VERBOSE) as stack:
        yield stack


def scenario(*steps: ScenarioStep, replies: int = 1) -> Scenario:
    later = [PAY.model_copy(update={"heard": ""})] * (replies - 1)
    return Scenario(name="masked", caller=ScenarioCaller(steps=steps), agent=Agent(replies=(PAY, *later)))


def payments(stack: Stack) -> list[object]:
    found: list[object] = call_json("GET", f"{stack.url('business')}/lab/requests")["payments"]
    return found


def in_redis(url: str) -> tuple[str, str]:
    """Return everything in Redis as text, and the tones in all uplinks."""
    client = redis.Redis.from_url(url)
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    texts, tones, frames = list[str](), "", 0
    for key in client.scan_iter():
        kind: Any = client.type(key)
        content = read[kind](key)
        texts.append(f"{key!r} {content!r} {client.dump(key)!r}")
        if key.endswith(b":uplink"):
            entries = [decode(stored[b"e"]) for _, stored in content]
            tones += "".join(entry.tone for entry in entries if isinstance(entry, Dtmf))
            frames += sum(isinstance(entry, AudioFrame) for entry in entries)
    client.close()
    assert frames > 100, "the uplink of the call is still there"
    return "\n".join(texts), tones


async def check_redis_once_paid(stack: Stack, count: int) -> None:
    """During the call, right after the payment: Redis has the last seconds of the uplink, but no key of them."""
    await eventually(lambda: len(payments(stack)) == count, within_s=40, every_s=0.05, what="the card is charged")
    text, tones = in_redis(stack.redis_url)
    assert (contains(text, CARD), tones) == (False, ""), "each key was deleted once it was read"


def check_nothing_else_has_the_digits(stack: Stack, ended: EndedCall) -> None:
    api, call_id = f"{stack.url('call-control')}/api/calls", ended.record["call_id"]
    urls = [api, f"{api}/{call_id}", f"{api}/{call_id}/transcript", f"{api}/{call_id}/actions"]
    services = [one for one in stack.processes if one.name.startswith(SERVICES)]
    urls += [f"http://127.0.0.1:{one.port}/metrics" for one in services]
    urls.append(f"{stack.url('voice-live')}/lab/sessions")
    sessions = call_json("GET", urls[-1])["sessions"]
    urls += [f"{urls[-1]}/{session['id']}" for session in sessions]
    places = {url: raw("GET", url).decode() for url in urls}
    places |= {path.name: path.read_text() for path in stack.folder.glob("*.log") if path.name != "acs.log"}
    assert {"call-control.log", "media-gateway.log", "agent-relay.log", "voice-live.log"} <= places.keys()
    assert "event sent to Voice Live" in places["agent-relay.log"], "the protocol trace is on"
    places["Redis"], tones = in_redis(stack.redis_url)
    assert [place for place, text in places.items() if contains(text, CARD)] == []
    assert tones == ""


@pytest.mark.timeout(90)
async def test_a_typed_card_number_reaches_the_tool_and_nothing_else(stack: Stack) -> None:
    typed = scenario(*WANT, ScenarioStep(dtmf=f"{CARD}#"), ANSWERED, HANG_UP)
    ended = await run_call(stack, typed, lambda _: check_redis_once_paid(stack, 1))
    assert payments(stack) == [{"amount": 20, "card_number": CARD}]
    assert ended.agent_turns == ["Hello.", "Type it.", 'I found this: {"paid":true,"card":"****"}']
    assert [row["detail"] for row in ended.transcript if row.get("what") == "keys"] == ["17"]
    check_nothing_else_has_the_digits(stack, ended)


@pytest.mark.timeout(90)
async def test_a_card_number_that_is_typed_before_the_agent_calls_the_tool(stack: Stack) -> None:
    before = len(payments(stack))
    typed = ScenarioStep(dtmf=f"{CARD}#")
    steps = scenario(WANT[0], typed, ANSWERED, HANG_UP)
    ended = await run_call(stack, steps, lambda _: check_redis_once_paid(stack, before + 1))
    assert payments(stack)[before:] == [{"amount": 20, "card_number": CARD}]
    assert "Type it." not in ended.agent_turns
    check_nothing_else_has_the_digits(stack, ended)


def keys_pressed(call: ObservedCall) -> int:
    call.poll()
    return len(call.times("phone", "dtmf"))


@pytest.mark.timeout(120)
async def test_after_the_death_of_the_relay_the_caller_types_again(stack: Stack) -> None:
    """Last of the module: the first relay is gone afterwards."""
    before = len(payments(stack))

    async def crash(call: ObservedCall) -> None:
        first = next(one for one in stack.processes if one.name == "agent-relay")
        stack.launch_second("agent-relay")
        stack.await_ready()
        await eventually(lambda: keys_pressed(call) >= 5, within_s=30, every_s=0.05, what="the caller types")
        assert first.popen is not None
        first.popen.kill()
        first.popen.wait()
        stack.processes.remove(first)

    asked_again = ScenarioStep(wait_for="agent_ends", ms=1500)
    steps = (*WANT, ScenarioStep(dtmf=CARD[:8]), asked_again, ScenarioStep(dtmf=f"{CARD}#"), ANSWERED, HANG_UP)
    ended = await run_call(stack, scenario(*steps, replies=4), crash)
    assert payments(stack)[before:] == [{"amount": 20, "card_number": CARD}], "the first half was sent nowhere"
    assert "What the caller typed was lost" in str(ended.call.voice["items"]), "in the session of the second relay"
    assert ended.agent_turns[-1] == 'I found this: {"paid":true,"card":"****"}'
    check_nothing_else_has_the_digits(stack, ended)
