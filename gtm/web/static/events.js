// What happened, the newest first, searched here: these are a few hundred lines, and the API has the rest.

import { ask } from "./api.js";
import { draw, tools } from "./draw.js";
import { on, say } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { bare, clock, count, sign, word } from "./words.js";

const MOST = 500; // searched
const SHOWN = 100; // drawn: each change draws them again
const GOOD = new Set(["up", "usable", "first", "judged", "accepted"]);
const BAD = new Set(["down", "failed", "refused", "unusable", "tripped", "degraded", "last_resort"]);
const KINDS = ["endpoint", "check", "pool", "name", "config", "guard", "order", "worker", "geo", "store", "node"];

let all = [];
let search = "";
let kind = "";

const tone = (one) => {
  if (one.kind === "order") return "ordered";
  if (GOOD.has(one.after)) return "up";
  if (BAD.has(one.after)) return "down";
  return one.after === "fallback" ? "fallback" : "told";
};

// A day before today; the wall shows neither its year nor its seconds.
const when = (text) => (text.length > 8 ? html`<span class="far">${text.slice(0, 5)}</span>${text.slice(5, 16)}<span class="far">${text.slice(16)}</span>` : text);

const line = (one) => html`<li class=${tone(one)}><time datetime=${new Date(one.at * 1000).toISOString()}>${when(clock(one.at))}</time>
<span class="sign" aria-hidden="true">${sign(tone(one))}</span><span class="what"><span class="kind">${one.kind}</span> <b>${bare(one.subject)}</b>
${one.before ? `${word(one.before)} → ` : ""}${word(one.after)}${one.cause ? html` <span class="cause">${one.cause}</span>` : nothing}</span></li>`;

// A check's first good result: a start has thousands of those. Who wants them asks for checks.
const isFirstLook = (one) => one.kind === "check" && one.before === "unknown" && one.after === "up";

function fits(one) {
  if (kind ? one.kind !== kind : isFirstLook(one)) return false;
  return !search || [one.subject, one.before, one.after, one.cause, one.kind].some((text) => String(text).toLowerCase().includes(search));
}

function redraw() {
  const shown = all.filter(fits);
  const more = shown.length - SHOWN;
  draw("events", html`<ol class="events">${repeat(shown.slice(0, SHOWN), (one) => one.id || `${one.at}${one.subject}`, line)}${
    shown.length ? nothing : html`<li class="none">${all.length ? "Nothing of that kind." : "Nothing yet."}</li>`
  }</ol>${more > 0 ? html`<p class="more">and ${count(more)} older ones that a search finds; <a href="/api/v1/events">all as JSON</a></p>` : nothing}`);
}

function controls() {
  tools("events", html`<form class="filter" role="search" aria-label="Search events" @submit=${(event) => event.preventDefault()}>
<label><span class="unseen">Search events</span><input type="search" placeholder="what, who, why" spellcheck="false" autocomplete="off" @input=${(event) => {
    search = event.target.value.toLowerCase();
    redraw();
  }}></label>
<label><span class="unseen">Kind of event</span><select @change=${(event) => {
    kind = event.target.value;
    redraw();
  }}><option value="">all kinds</option>${KINDS.map((one) => html`<option>${one}</option>`)}</select></label></form>`);
}

async function fetchAll() {
  const found = await ask(`/api/v1/events?limit=${MOST}`).catch(() => null);
  if (!found) return;
  all = found.events.reverse();
  say("history", all);
  redraw();
}

export function events() {
  controls();
  on("hello", fetchAll);
  on("events", (news) => {
    const had = new Set(all.slice(0, MOST).map((one) => one.id));
    all = [...news.filter((one) => !one.id || !had.has(one.id)).reverse(), ...all].slice(0, MOST);
    say("history", all);
    redraw();
  });
}
