// Templates in, the page out; and the one clock that makes ages and countdowns go on between messages.

import { render } from "./vendor/lit-html/lit-html.js";
import { span } from "./words.js";

const taken = new Set();
const places = new Map(); // "data-live" or "data-tools" and its name -> where that is; the whole page is long to search
let ahead_s = 0; // the node's clock less ours

export const now = () => Date.now() / 1000 + ahead_s;
export const clockIs = (at) => {
  ahead_s = at - Date.now() / 1000;
};

function place(kind, name) {
  const key = `${kind}=${name}`;
  if (!places.get(key)?.isConnected) places.set(key, document.querySelector(`[${kind}="${name}"]`));
  return places.get(key);
}

// What the server drew gives way to what we draw, in the same frame, so nothing flashes.
export function draw(where, template) {
  const target = typeof where === "string" ? place("data-live", where) : where;
  if (!target) return;
  if (!taken.has(target)) {
    target.replaceChildren();
    taken.add(target);
  }
  render(template, target);
  tell(target);
}

export const tools = (name, template) => {
  const target = place("data-tools", name);
  if (target) draw(target, template);
};

// A <time data-since> says how long ago, a <time data-until> how long yet. Their text is nobody else's.
function tell(within) {
  const at = now();
  for (const time of within.querySelectorAll("time[data-since], time[data-until]")) {
    const [until, before, after] = ["data-until", "data-before", "data-after"].map((one) => time.getAttribute(one));
    const left = until === null ? at - Number(time.getAttribute("data-since")) : Number(until) - at;
    const over = until !== null && left <= 0;
    const text = over ? time.getAttribute("data-over") ?? "now" : `${before ?? ""}${span(left)}${after ?? ""}`;
    if (time.firstChild?.data !== text) time.textContent = text;
  }
}

setInterval(() => tell(document), 1000);
