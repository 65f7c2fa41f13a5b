// Templates in, the page out; and the one clock that makes ages and countdowns go on between messages.

import { render } from "./vendor/lit-html/lit-html.js";
import { span } from "./words.js";

const taken = new Set();
let ahead_s = 0; // the node's clock less ours

export const now = () => Date.now() / 1000 + ahead_s;
export const clockIs = (at) => {
  ahead_s = at - Date.now() / 1000;
};

// What the server drew gives way to what we draw, in the same frame, so nothing flashes.
export function draw(where, template) {
  const target = typeof where === "string" ? document.querySelector(`[data-live="${where}"]`) : where;
  if (!target) return;
  if (!taken.has(target)) {
    target.replaceChildren();
    taken.add(target);
  }
  render(template, target);
  tell(target);
}

export const tools = (name, template) => {
  const target = document.querySelector(`[data-tools="${name}"]`);
  if (target) draw(target, template);
};

// A <time data-since> says how long ago, a <time data-until> how long yet. Their text is nobody else's.
function tell(within) {
  const at = now();
  for (const time of within.querySelectorAll("time[data-since], time[data-until]")) {
    const { since, until, before = "", after = "", over = "now" } = time.dataset;
    const left = until === undefined ? at - Number(since) : Number(until) - at;
    const text = until !== undefined && left <= 0 ? over : `${before}${span(left)}${after}`;
    if (time.textContent !== text) time.textContent = text;
  }
}

setInterval(() => tell(document), 1000);
