// The four lists of the page: names, pools with their members, endpoints, sites.

import { act } from "./order.js";
import { List } from "./list.js";
import { ladder, poolCard, since, state } from "./parts.js";
import { mayRead, on, say } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { repeat } from "./vendor/lit-html/directives/repeat.js";
import { bare, count } from "./words.js";

const none = (columns, words) => html`<tr><td colspan=${columns} class="none">${words}</td></tr>`;

const nameRow = (one) => html`<tr class=${one.rung}><th scope="row">${
  mayRead()
    ? html`<button type="button" class="plain" title="Why this answer?" @click=${() => say("why", { name: one.name })}>${bare(one.name)}</button>`
    : bare(one.name)
}</th><td>${ladder(one.rung)}</td>${
  mayRead()
    ? html`<td>${one.pools.join(", ") || "–"}</td><td class="num" data-of="TTL">${one.ttl} s</td><td data-of="since">${since(one.since)}</td>`
    : nothing
}</tr>`;

function names(rows) {
  const head = mayRead() ? html`<th scope="col">pools</th><th scope="col" class="num">TTL</th><th scope="col">since</th>` : nothing;
  return html`<div class="tabled stacks"><table><thead><tr><th scope="col">name</th><th scope="col">answered from</th>${head}</tr></thead>
<tbody>${repeat(rows, (one) => one.name, nameRow)}${rows.length ? nothing : none(5, "No name fits.")}</tbody></table></div>`;
}

const endpointRow = (one) => html`<tr class=${one.condition}><th scope="row">${one.endpoint}</th><td>${state(one.condition)}</td>
<td>${since(one.since)}</td><td data-of="at">${one.site || "–"}</td><td><code>${bare(one.address)}</code></td><td class="num" data-of="weight">${one.weight}</td>
<td data-of="served">${one.serving ? "yes" : "no"}</td><td>${one.reason}${one.order ? html` <span aria-hidden="true">◆</span> ${one.order}` : nothing}${act(one.endpoint)}</td></tr>`;

const endpointTable = (rows) => html`<div class="tabled stacks"><table><thead><tr><th scope="col">endpoint</th><th scope="col">state</th>
<th scope="col">since</th><th scope="col">site</th><th scope="col">address</th><th scope="col" class="num">weight</th>
<th scope="col">served</th><th scope="col">last said</th></tr></thead>
<tbody>${repeat(rows, (one) => one.key, endpointRow)}${rows.length ? nothing : none(8, "No endpoint fits.")}</tbody></table></div>`;

export function lists() {
  new List("names", {
    limit: 25,
    states: ["trouble", "fallback", "degraded", "last_resort", "first"],
    hint: mayRead() ? "name or pool" : "name",
    body: names,
  });
  if (!mayRead()) return;
  const endpoints = new List("endpoints", {
    limit: 25,
    states: ["trouble", "down", "weak", "unknown", "ordered", "stale", "up"],
    hint: "name, site, address, reason",
    body: endpointTable,
  });
  const more = (pool) => html`<p class="more"><button type="button" @click=${() => endpoints.show({ pool: pool.pool })}>all ${count(pool.members)} members</button></p>`;
  let shares = new Map(); // "pool/endpoint" -> what it was given
  const pools = new List("pools", {
    limit: 12,
    states: ["trouble", "down", "weak", "up"],
    hint: "pool or reason",
    body: (rows) => html`<div class="cards">${repeat(rows, (one) => one.pool, (one) => poolCard(one, act, more, shares))}</div>
${rows.length ? nothing : html`<p class="none">No pool fits.</p>`}`,
  });
  on("shares", (found) => {
    shares = found;
    pools.redraw();
  });
  on("site", (site) => endpoints.show({ site }));
}
