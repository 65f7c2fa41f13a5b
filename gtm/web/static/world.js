// Sites and askers on a map of the land. Everything that the map shows stands below it in words, too.

import { ask } from "./api.js";
import { draw } from "./draw.js";
import { act } from "./order.js";
import { state } from "./parts.js";
import { on, say } from "./store.js";
import { html, nothing, svg } from "./vendor/lit-html/lit-html.js";
import { count, percent, word } from "./words.js";

const MOST_IN_WORDS = 12;
const RANK = { down: 0, weak: 1, up: 2 };

const land = document.querySelector(".map use")?.getAttribute("href") ?? "";
let sites = new Map();
let askers = []; // {place, words, x, y, share}

// Area, not radius, stands for the share.
const heat = (one) => svg`<circle class="heat" cx=${one.x} cy=${one.y} r=${4 + 46 * Math.sqrt(one.share)}><title>${one.words}: ${percent(one.share)} of the answers</title></circle>`;

const dot = (one) => svg`<g class="site ${one.condition}" transform="translate(${one.x} ${one.y})"><title>${one.site}: ${word(one.condition)}, ${one.up} of ${one.endpoints} up</title>
${one.condition === "down" ? svg`<circle class="ring" r="13"></circle>` : nothing}${
  one.condition === "down" ? svg`<path d="M-7-5h14l-7 12z"></path>` : one.condition === "weak" ? svg`<path d="M0-7 7 0 0 7-7 0z"></path>` : svg`<circle r="5"></circle>`
}</g>`;

function redraw() {
  const all = [...sites.values()].sort((one, other) => RANK[one.condition] - RANK[other.condition]);
  const placed = all.filter((one) => one.x !== null);
  const wrong = all.filter((one) => one.condition !== "up").length;
  const label = `World map: ${count(all.length)} sites, ${count(wrong)} of them in trouble. The list below says the same in words.`;
  draw("world", html`${svg`<svg class="map" viewBox="60 8 930 436" role="img" aria-label=${label}>
<use href=${land} class="land"></use>${askers.filter((one) => one.x !== null).map(heat)}${placed.reverse().map(dot)}</svg>`}
<ul class="sitelist">${all.slice(0, MOST_IN_WORDS).map((one) => html`<li class=${one.condition}>${state(one.condition)} <button type="button" class="plain" @click=${() => say("site", one.site)}><b>${one.site}</b><span class="unseen">: show its endpoints</span></button>
<span class="muted">${one.up} of ${one.endpoints} up</span>${act(`site:${one.site}`)}</li>`)}
${all.length > MOST_IN_WORDS ? html`<li class="others muted">and ${count(all.length - MOST_IN_WORDS)} more</li>` : nothing}</ul>
${askers.length ? html`<p class="askers"><span class="muted">Answers go to</span> ${askers.slice(0, 6).map((one) => html`<span><b>${percent(one.share)}</b> ${one.words}</span> `)}</p>` : nothing}`);
}

async function fetchAll() {
  const found = await ask("/api/v1/sites?limit=500").catch(() => null);
  if (!found) return;
  sites = new Map(found.sites.map((one) => [one.site, one]));
  redraw();
}

export function world() {
  on("hello", fetchAll);
  on("change", ({ changed, gone, many }) => {
    if (many.includes("sites") || gone.sites) return void fetchAll();
    for (const one of changed.sites ?? []) sites.set(one.site, one);
    if (changed.sites) redraw();
    return undefined;
  });
  on("askers", (found) => {
    askers = found;
    redraw();
  });
}
