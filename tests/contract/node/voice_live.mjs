// The npm client @azure/ai-voicelive, unmodified, against `lab voice-live`: a greeting, a turn, a barge-in, a function call.
// Environment: VOICE_LIVE_URL, VOICE_LIVE_KEY of the simulator; SPEECH_PCM, a file with the caller's words (24 kHz PCM).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { VoiceLiveClient } from "@azure/ai-voicelive";

const { VOICE_LIVE_URL, VOICE_LIVE_KEY, SPEECH_PCM } = process.env;
const RATE = 24_000;
const FRAME_BYTES = (RATE / 50) * 2;
const words = readFileSync(SPEECH_PCM);
const GREETING = "Good morning, how can I help you?";

const VAD = {
  type: "azure_semantic_vad",
  silenceDurationInMs: 400,
  speechDurationInMs: 80,
  interruptResponse: true,
  createResponse: true,
};

async function eventually(what, probe, withinMs = 15_000) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false && found !== null) return found;
    if (Date.now() > deadline) assert.fail(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function setAgent(agent) {
  const reply = await fetch(`${VOICE_LIVE_URL}/lab/agent`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(agent),
  });
  assert.ok(reply.ok, await reply.text());
}

// One session with everything the client's handlers were given, and a line of 20 ms frames that never stops.
class Call {
  events = [];
  audio = new Map(); // item id → bytes
  #queued = [];
  #ticker;

  static async open(settings = {}) {
    const call = new Call();
    call.session = new VoiceLiveClient(VOICE_LIVE_URL, { key: VOICE_LIVE_KEY }).createSession("gpt-4.1");
    call.session.subscribe({
      onServerEvent: async (event) => void call.events.push(event),
      onResponseAudioDelta: async (event) =>
        void call.audio.set(event.itemId, (call.audio.get(event.itemId) ?? 0) + event.delta.length),
    });
    await call.session.connect();
    await call.session.updateSession({
      modalities: ["text", "audio"],
      instructions: "You answer the phone.",
      turnDetection: VAD,
      inputAudioTranscription: { model: "azure-speech" },
      ...settings,
    });
    const updated = await call.event("session.updated");
    assert.equal(updated.session.turnDetection.silenceDurationInMs, 400);
    let due = Date.now();
    call.#ticker = setInterval(() => {
      for (; due <= Date.now(); due += 20)
        call.session.sendAudio(call.#queued.shift() ?? new Uint8Array(FRAME_BYTES)).catch(() => {});
    }, 10);
    return call;
  }

  speak() {
    for (let at = 0; at + FRAME_BYTES <= words.length; at += FRAME_BYTES)
      this.#queued.push(words.subarray(at, at + FRAME_BYTES));
  }

  event(type, test = () => true, since = 0) {
    return eventually(type, () => {
      const refused = this.events.find((event) => event.type === "error");
      if (refused) assert.fail(`waiting for ${type}: ${JSON.stringify(refused.error)}`);
      return this.events.slice(since).find((event) => event.type === type && test(event));
    });
  }

  async close() {
    clearInterval(this.#ticker);
    await this.session.disconnect();
    await this.session.dispose();
    const errors = this.events.filter(({ type }) => type === "error").map(({ error }) => error);
    assert.deepEqual(errors, []);
  }
}

async function calling(settings, during) {
  const call = await Call.open(settings);
  try {
    await during(call);
  } finally {
    await call.close();
  }
}

const completed = (event) => event.response.status === "completed";

test("a greeting is spoken word by word", { timeout: 30_000 }, async () => {
  await setAgent({ mode: "script", replies: [], greeting: null });
  await calling({}, async (call) => {
    await call.session.sendEvent({
      type: "response.create",
      response: {
        preGeneratedAssistantMessage: {
          type: "message",
          role: "assistant",
          content: [{ type: "text", text: GREETING }],
        },
      },
    });
    const { response } = await call.event("response.done", completed);
    const transcript = await call.event("response.audio_transcript.done");
    assert.equal(transcript.transcript, GREETING);
    const seconds = call.audio.get(transcript.itemId) / (2 * RATE);
    assert.ok(seconds > 0.8 && seconds < 6, `${seconds} s of greeting`);
    assert.equal(response.output[0].id, transcript.itemId);
  });
});

test("a turn is heard, transcribed and answered", { timeout: 30_000 }, async () => {
  await setAgent({ mode: "script", replies: [{ heard: "Where is my parcel?", say: "It arrives tomorrow." }] });
  await calling({}, async (call) => {
    call.speak();
    const started = await call.event("input_audio_buffer.speech_started");
    const stopped = await call.event("input_audio_buffer.speech_stopped");
    assert.ok(stopped.audioEndInMs > started.audioStartInMs);
    const heard = await call.event("conversation.item.input_audio_transcription.completed");
    assert.equal(heard.transcript, "Where is my parcel?");
    assert.equal(heard.itemId, started.itemId);
    const said = await call.event("response.audio_transcript.done");
    assert.equal(said.transcript, "It arrives tomorrow.");
    await call.event("response.done", completed);
    assert.ok(call.audio.get(said.itemId) > RATE);
  });
});

test("the caller barges in, and the conversation keeps what was heard", { timeout: 40_000 }, async () => {
  const long = "Our opening hours are from nine to five on every working day, and on Saturdays from ten until two. ";
  await setAgent({
    mode: "script",
    replies: [
      { heard: "When are you open?", say: long.repeat(6) },
      { heard: "Stop, stop.", say: "Of course." },
    ],
  });
  await calling({}, async (call) => {
    call.speak();
    const first = await call.event("response.audio.delta");
    const since = call.events.length;
    call.speak();
    await call.event("input_audio_buffer.speech_started", undefined, since);
    const cut = await call.event("response.done", ({ response }) => response.id === first.responseId);
    assert.equal(cut.response.status, "cancelled");
    assert.equal(cut.response.statusDetails.reason, "turn_detected");
    const late = call.events
      .slice(call.events.indexOf(cut))
      .filter((event) => event.type === "response.audio.delta" && event.responseId === first.responseId);
    assert.equal(late.length, 0);
    await call.session.sendEvent({
      type: "conversation.item.truncate",
      itemId: first.itemId,
      contentIndex: 0,
      audioEndInMs: 400,
    });
    const truncated = await call.event("conversation.item.truncated");
    assert.equal(truncated.itemId, first.itemId);
    assert.equal(truncated.audioEndInMs, 400);
    const next = await call.event("response.audio_transcript.done", ({ itemId }) => itemId !== first.itemId);
    assert.equal(next.transcript, "Of course.");
  });
});

test("a function is called, and its result answered", { timeout: 30_000 }, async () => {
  await setAgent({
    mode: "script",
    replies: [
      { heard: "Order 17?", call: { name: "find_order", arguments: { number: 17 } }, say: "Order 17 is on its way." },
    ],
  });
  const tools = [
    {
      type: "function",
      name: "find_order",
      description: "Finds an order",
      parameters: { type: "object", properties: { number: { type: "integer" } } },
    },
  ];
  await calling({ tools, toolChoice: "auto" }, async (call) => {
    call.speak();
    const asked = await call.event("response.function_call_arguments.done");
    assert.equal(asked.name, "find_order");
    assert.deepEqual(JSON.parse(asked.arguments), { number: 17 });
    const { response } = await call.event("response.done", completed);
    assert.equal(response.output[0].callId, asked.callId);
    await call.session.addConversationItem({
      type: "function_call_output",
      callId: asked.callId,
      output: JSON.stringify({ state: "on its way" }),
    });
    await call.session.sendEvent({ type: "response.create" });
    const said = await call.event("response.audio_transcript.done");
    assert.equal(said.transcript, "Order 17 is on its way.");
    await call.event("response.done", (event) => completed(event) && event.response.id !== response.id);
  });
});

test("a wrong key is refused", { timeout: 20_000 }, async () => {
  const stranger = new VoiceLiveClient(VOICE_LIVE_URL, { key: "another key" });
  await assert.rejects(stranger.createSession("gpt-4.1").connect());
});
