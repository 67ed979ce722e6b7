// One stream of events for all tabs of a login: a browser has six connections to a host, and each tab would take one.

import { Reading } from "./reading.js";
import { Standing } from "./standing.js";

const { address, user } = JSON.parse(self.name);
const ports = new Set();
const standing = new Standing();
let begun = false;

function toAll(message) {
  for (const port of ports) port.postMessage(message);
}

const reading = new Reading(
  address,
  user,
  (kind, data) => {
    begun ||= kind === "begin";
    standing.hear(kind, data);
    toAll({ kind, data });
  },
  (state) => {
    if (state === "ended") begun = false;
    toAll({ state });
  },
);

self.addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    if (data === "leave") ports.delete(port);
    if (data === "end") reading.stop();
    if (data === "go") reading.go();
  };
  reading.go(); // also after the end of a login: a page of the next one asks
  ports.add(port);
  port.postMessage({ state: reading.state });
  if (begun) port.postMessage({ kind: "begin", data: { user, resumed: false, imports: standing.under } });
});
