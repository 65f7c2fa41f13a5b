// The stream of changes in, news for whoever draws out. It comes back by itself, from where it was.

import { messages } from "./api.js";
import { clockIs } from "./draw.js";
import { known, say } from "./store.js";

const QUIET_MS = 20_000; // the node says something every five seconds; after this long the line is dead
const HIDDEN_MS = 60_000; // a browser has six streams for all its tabs: one that nobody looks at gives its own up
const WAITS_MS = [500, 1000, 2000, 4000];

let last = "";
let running = null;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function link(state) {
  if (known.link.state !== state) known.link = { state, since: Date.now() / 1000 };
  say("link", known.link);
}

function take({ id, event, data }) {
  const began = performance.now();
  last = id;
  clockIs(data.at);
  if (data.summary) known.summary = data.summary;
  if (event === "hello") say("hello", data);
  if (data.summary) say("summary", known.summary);
  if (event === "change") say("change", { changed: {}, gone: {}, many: [], ...data });
  if (data.events) say("events", data.events);
  performance.measure("gtm-update", { start: began, end: performance.now() });
  say("pulse", data.at);
}

async function run(control) {
  let failures = 0;
  while (!control.signal.aborted) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    control.signal.addEventListener("abort", stop);
    let quiet = setTimeout(stop, QUIET_MS);
    try {
      for await (const message of messages("/api/v1/live", { last, signal: attempt.signal })) {
        clearTimeout(quiet);
        quiet = setTimeout(stop, QUIET_MS);
        failures = 0;
        link("live");
        take(message);
      }
    } catch (wrong) {
      if (wrong.status === 401 || wrong.status === 403) return link("locked");
    }
    clearTimeout(quiet);
    control.signal.removeEventListener("abort", stop);
    if (control.signal.aborted) return undefined;
    link("lost");
    await pause(WAITS_MS[Math.min(failures, WAITS_MS.length - 1)]);
    failures += 1;
  }
  return undefined;
}

export function begin() {
  running?.abort();
  running = new AbortController();
  void run(running);
}

let hiding = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      running?.abort();
      running = null;
    }, HIDDEN_MS);
  } else if (running === null && known.link.state !== "locked") {
    begin();
  }
});
