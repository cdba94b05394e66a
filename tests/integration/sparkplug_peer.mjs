// The other side of the interoperability tests: the npm packages sparkplug-payload and sparkplug-client.
//
// node sparkplug_peer.mjs codec          one JSON request a line on stdin, one JSON answer a line on stdout
// node sparkplug_peer.mjs client PORT    an edge node npm/edge with one device, steered by commands on stdin
// node sparkplug_peer.mjs watch PORT     decodes everything under spBv1.0/# and prints it
//
// What JSON cannot say travels tagged: {"long": "123"}, {"bytes": "00ff"}, {"float": "NaN"}.

import { createInterface } from "node:readline";
import Long from "long";
import mqtt from "mqtt";
import sparkplugClient from "sparkplug-client";
import sparkplugPayload from "sparkplug-payload";

const codec = sparkplugPayload.get("spBv1.0");
const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const lines = () => createInterface({ input: process.stdin });

function tagged(value) {
  if (Long.isLong(value)) return { long: value.toString() };
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    return { float: Object.is(value, -0) ? "-0.0" : String(value) };
  }
  if (Array.isArray(value)) return value.map(tagged);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, tagged(inner)]));
  }
  return value;
}

function untagged(value) {
  if (Array.isArray(value)) return value.map(untagged);
  if (value === null || typeof value !== "object") return value;
  if ("long" in value) return Long.fromString(value.long, !value.long.startsWith("-"));
  if ("bytes" in value) return Buffer.from(value.bytes, "hex");
  if ("float" in value) return Number(value.float);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, untagged(inner)]));
}

function answer(request) {
  try {
    if (request.encode !== undefined) {
      return { bytes: Buffer.from(codec.encodePayload(untagged(request.encode))).toString("hex") };
    }
    return { payload: tagged(codec.decodePayload(Buffer.from(request.decode, "hex"))) };
  } catch (error) {
    return { error: String(error.message) };
  }
}

function serveCodec() {
  lines().on("line", (line) => print(answer(JSON.parse(line))));
}

function runClient(port) {
  const client = sparkplugClient.newClient({
    serverUrl: `mqtt://127.0.0.1:${port}`,
    username: null, // has to be there, and the server refuses an empty one
    password: null,
    groupId: "npm",
    edgeNode: "edge",
    clientId: "npm-edge",
    publishDeath: true,
    version: "spBv1.0",
  });
  const now = () => Date.now();
  client.on("birth", () => {
    client.publishNodeBirth({
      timestamp: now(),
      metrics: [
        { name: "Node Control/Rebirth", type: "Boolean", value: false, timestamp: now() },
        { name: "Properties/Maker", type: "String", value: "npm", timestamp: now() },
      ],
    });
    client.publishDeviceBirth("press", {
      timestamp: now(),
      metrics: [{ name: "CycleTime", alias: 7, type: "Double", value: 30.5, timestamp: now() }],
    });
    print({ event: "born" });
  });
  client.on("ncmd", (payload) => {
    print({ event: "ncmd", payload: tagged(payload) });
    if (payload.metrics.some((metric) => metric.name === "Node Control/Rebirth" && metric.value === true)) {
      client.emit("birth");
    }
  });
  client.on("dcmd", (device, payload) => print({ event: "dcmd", device, payload: tagged(payload) }));
  lines().on("line", (line) => {
    const command = JSON.parse(line);
    if (command.data !== undefined) {
      client.publishDeviceData("press", {
        timestamp: now(),
        metrics: [{ name: "CycleTime", alias: 7, type: "Double", value: command.data, timestamp: now() }],
      });
    } else if (command.skip) {
      client.seq += 1; // as if a message had been lost
    } else if (command.death) {
      client.publishDeviceDeath("press", { timestamp: now() });
    } else if (command.stop) {
      client.stop();
    }
  });
}

function watch(port) {
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, { clientId: "npm-watch" });
  client.on("message", (topic, payload) => {
    if (topic.startsWith("spBv1.0/STATE/")) return; // JSON, not Protobuf
    print({ topic, payload: tagged(codec.decodePayload(payload)) });
  });
  client.on("connect", () => client.subscribe("spBv1.0/#", () => print({ event: "subscribed" })));
}

const [mode, port] = process.argv.slice(2);
({ codec: serveCodec, client: () => runClient(port), watch: () => watch(port) })[mode]();
