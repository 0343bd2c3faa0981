// The npm client @azure/communication-call-automation, unmodified, against `lab acs`: answers, streams, hangs up.
// Environment: ACS_URL, ACS_KEY of the simulator; WEBHOOK_PORT, where its WEBHOOK_URL points.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import {
  CallAutomationClient,
  StreamingData,
  createOutboundAudioData,
  createOutboundStopAudioData,
  parseCallAutomationEvent,
} from "@azure/communication-call-automation";
import { WebSocketServer } from "ws";

const { ACS_URL, ACS_KEY, WEBHOOK_PORT } = process.env;
const here = `127.0.0.1:${WEBHOOK_PORT}`;
// The simulator speaks plain http; nothing else about the client is changed.
const plain = { allowInsecureConnection: true };
const client = new CallAutomationClient(ACS_URL, { key: ACS_KEY }, plain);

const ringing = []; // IncomingCall events nobody looked at yet
const callbacks = []; // { event, bearer }
const sockets = []; // { socket, headers, metadata, frames, bytes }

async function eventually(what, probe, withinMs = 10_000) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > deadline) assert.fail(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function answerWebhook(events) {
  for (const event of events) {
    const type = event.eventType ?? event.type;
    if (type === "Microsoft.EventGrid.SubscriptionValidationEvent")
      return { validationResponse: event.data.validationCode };
    if (type === "Microsoft.Communication.IncomingCall") ringing.push(event.data);
  }
  return {};
}

const server = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  const events = body ? JSON.parse(body) : [];
  let answer = {};
  if (request.url.startsWith("/api/incomingCall")) answer = answerWebhook(events);
  else
    for (const event of events)
      callbacks.push({ event: parseCallAutomationEvent(event), bearer: request.headers.authorization });
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
});

const media = new WebSocketServer({ server, path: "/media" });
media.on("connection", (socket, request) => {
  const seen = { socket, headers: request.headers, metadata: null, frames: 0, bytes: 0, closed: false };
  sockets.push(seen);
  socket.on("close", () => (seen.closed = true));
  socket.on("message", (message) => {
    const data = StreamingData.parse(message.toString());
    const kind = StreamingData.getStreamingKind();
    if (kind === "AudioMetadata") seen.metadata = data;
    if (kind === "AudioData") {
      seen.frames += 1;
      seen.bytes += Buffer.from(data.data, "base64").length;
    }
  });
});

before(() => new Promise((resolve) => server.listen(Number(WEBHOOK_PORT), "127.0.0.1", resolve)));
after(() => {
  for (const { socket } of sockets) socket.terminate();
  server.closeAllConnections();
  server.close();
});

async function ring() {
  const reply = await fetch(`${ACS_URL}/lab/calls`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ from: "+14255550100", to: "+18005551212", audio: "script", steps: null }),
  });
  assert.equal(reply.status, 201, await reply.clone().text());
  const { id } = await reply.json();
  const incoming = await eventually("IncomingCall", () => ringing.shift());
  return { id, incoming };
}

const observed = async (id) => (await fetch(`${ACS_URL}/lab/calls/${id}`)).json();
const noted = (id, event) =>
  eventually(`${event} on the timeline`, async () => (await observed(id)).timeline.find((row) => row.event === event));
const calledBack = (connection, kind, since = 0) =>
  eventually(`callback ${kind}`, () =>
    callbacks.slice(since).find(({ event }) => event.kind === kind && event.callConnectionId === connection),
  );

function tone(ms, rate) {
  const samples = new Int16Array((rate * ms) / 1000);
  for (let i = 0; i < samples.length; i++) samples[i] = 8000 * Math.sin((2 * Math.PI * 440 * i) / rate);
  return Buffer.from(samples.buffer).toString("base64");
}

test("a call is answered, its audio streams both ways, and it is hung up", { timeout: 40_000 }, async () => {
  const { id, incoming } = await ring();
  assert.equal(incoming.from.phoneNumber.value, "+14255550100");
  const answered = await client.answerCall(incoming.incomingCallContext, `http://${here}/callbacks/1`, {
    operationContext: "context-1",
    mediaStreamingOptions: {
      transportType: "websocket",
      transportUrl: `ws://${here}/media`,
      contentType: "audio",
      audioChannelType: "unmixed",
      startMediaStreaming: true,
      enableBidirectional: true,
      audioFormat: "Pcm24KMono",
    },
  });
  const { callConnectionId, callConnectionState } = answered.callConnectionProperties;
  assert.equal(callConnectionState, "connecting");

  const connected = await calledBack(callConnectionId, "CallConnected");
  assert.equal(connected.event.operationContext, "context-1");
  assert.match(connected.bearer, /^Bearer ey/);
  await calledBack(callConnectionId, "ParticipantsUpdated");
  await calledBack(callConnectionId, "MediaStreamingStarted");

  const first = await eventually("the media socket", () => sockets[0]);
  assert.match(first.headers.authorization, /^Bearer ey/);
  assert.equal(first.headers["x-ms-call-connection-id"], callConnectionId);
  await eventually("half a second of audio", () => first.frames >= 25);
  assert.equal(first.metadata.sampleRate, 24_000);
  assert.equal(first.bytes, first.frames * 960);

  for (let i = 0; i < 10; i++) first.socket.send(createOutboundAudioData(tone(200, 24_000)));
  await noted(id, "agent_starts");
  first.socket.send(createOutboundStopAudioData());
  const stopped = await noted(id, "stop_audio");
  assert.ok(stopped.cleared_ms > 500, `only ${stopped.cleared_ms} ms were still queued`);

  const connection = client.getCallConnection(callConnectionId);
  const properties = await connection.getCallConnectionProperties();
  assert.equal(properties.callConnectionState, "connected");
  const participants = (await connection.listParticipants()).values;
  assert.ok(participants.some(({ identifier }) => identifier.phoneNumber === "+14255550100"));

  const callMedia = connection.getCallMedia();
  await callMedia.stopMediaStreaming();
  await calledBack(callConnectionId, "MediaStreamingStopped");
  await eventually("the media socket to close", () => first.closed);
  const before = callbacks.length;
  await callMedia.startMediaStreaming({ operationContext: "again" });
  await calledBack(callConnectionId, "MediaStreamingStarted", before);
  await eventually("a second media socket with audio", () => sockets[1]?.frames > 5);

  await connection.hangUp(true);
  await calledBack(callConnectionId, "CallDisconnected");
  assert.equal((await observed(id)).state, "ended");
  await assert.rejects(connection.getCallConnectionProperties(), { statusCode: 404 });
});

test("a call is rejected", { timeout: 20_000 }, async () => {
  const { id, incoming } = await ring();
  await client.rejectCall(incoming.incomingCallContext, { callRejectReason: "busy" });
  await eventually("rejected", async () => (await observed(id)).state === "rejected");
});

test("a call is redirected", { timeout: 20_000 }, async () => {
  const { id, incoming } = await ring();
  await client.redirectCall(incoming.incomingCallContext, { targetParticipant: { phoneNumber: "+14255550177" } });
  await eventually("redirected", async () => (await observed(id)).state === "redirected");
});

test("a wrong key is refused", { timeout: 20_000 }, async () => {
  const { id, incoming } = await ring();
  const stranger = new CallAutomationClient(ACS_URL, { key: Buffer.from("another key").toString("base64") }, plain);
  await assert.rejects(stranger.rejectCall(incoming.incomingCallContext), { statusCode: 401 });
  assert.equal((await observed(id)).state, "ringing");
  await client.rejectCall(incoming.incomingCallContext);
});

test("an invented context is refused", { timeout: 20_000 }, async () => {
  await assert.rejects(client.answerCall("nonsense", `http://${here}/callbacks/2`), { statusCode: 400 });
});
