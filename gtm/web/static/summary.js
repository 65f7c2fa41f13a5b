// How things stand, in short: the sentence, the numbers, the orders, and what runs here.

import { draw, now } from "./draw.js";
import { release } from "./order.js";
import { since, until } from "./parts.js";
import { known, mayOperate, mayRead, on } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { count, plural, sign, span } from "./words.js";

const LOST_MS = 3000; // a control process that begins anew is back by then

const more = ({ level, text, why, since: at }) => html`<li class=${level}><span class="tick" aria-hidden="true">${sign(level)}</span>
<b>${text}</b> ${why} ${at ? html`${since(at, "For ")}.` : nothing}</li>`;

function headline({ level, text, why, since: at }, also = []) {
  document.title = `${sign(level)} GTM ${known.summary.node ?? ""}`;
  const box = document.querySelector('[data-live="headline"]');
  box?.classList.remove("ok", "warn", "bad");
  box?.classList.add(level);
  draw(
    "headline",
    html`<span class="sign" aria-hidden="true">${sign(level)}</span><div><p class="said">${text}</p>
${why || at ? html`<p class="why">${why} ${at ? html`${since(at, "For ")}.` : nothing}</p>` : nothing}
${also.length ? html`<ul class="also" aria-label="What else is wrong">${also.map(more)}</ul>` : nothing}</div>`,
  );
}

let rate = null; // answers per second now, as the plots know it

// What is calm says nothing on the wall.
const tile = (words, some, of, low = of !== undefined && some < of, calm = false) =>
  html`<li class=${low ? "low" : calm ? "calm" : ""}><b>${some}${of === undefined ? nothing : html`<small> of ${count(of)}</small>`}</b><span>${words}</span></li>`;

function tiles({ counts, workers, orders_total }) {
  const { names, pools, endpoints } = counts;
  const up = (endpoints.up ?? 0) + (endpoints.ordered ?? 0) + (endpoints.stale ?? 0) + (endpoints.weak ?? 0);
  const of = (words, some = 0, all = 0, calm = false) => tile(words, count(some), all, some < all, calm);
  draw(
    "tiles",
    html`${of("names on their first pool", names.first, names.total)}${of("pools at full strength", pools.up, pools.total)}
${of("endpoint addresses up", up, endpoints.total)}${rate === null ? nothing : tile("answers per second", rate)}
${tile(orders_total === 1 ? "order in force" : "orders in force", count(orders_total), undefined, false, !orders_total)}${of("workers alive", workers.alive, workers.of, true)}`,
  );
}

const safety = (one) => {
  if (one.order !== "drain" && one.order !== "down") return nothing;
  if (!one.safe_at) return html`<span class="safe">waiting for the last old answer</span>`;
  return html`<span class="safe">${until(one.safe_at, "safe to stop in ", "▲ safe to stop")}</span>`;
};

const VERBS = { drain: "drained", down: "forced down", up: "forced up", weight: "weighted" };

function orders({ orders: given, orders_total }) {
  const panel = document.getElementById("orders");
  if (panel) panel.hidden = !given.length;
  draw(
    "orders",
    html`<ul class="orderlist">${given.map(
      (one) => html`<li><span class="state ordered"><span aria-hidden="true">◆</span> ${VERBS[one.order] ?? one.order}${one.order === "weight" ? ` ${Math.round(one.value * 100)}%` : ""}</span>
<b>${one.target}</b> ${one.covers > 1 ? html`<span class="muted">${plural(one.covers, "endpoint", "endpoints")}</span>` : nothing}
${safety(one)}<span class="by">by ${one.by || "somebody"} ${since(one.at)}${one.why ? `: ${one.why}` : ""}</span>
<span>${one.until ? until(one.until, "lifts itself in ", "lifting") : "until released"}</span>
${one.overruled_by?.length ? html`<span class="muted">a newer order wins on some of it</span>` : nothing}
${mayOperate() ? html`<button type="button" @click=${() => release(one)}>Release<span class="unseen"> ${one.order} of ${one.target}</span></button>` : nothing}</li>`,
    )}</ul>${orders_total > given.length ? html`<p class="more">and ${count(orders_total - given.length)} more: <a href="/api/v1/orders">all as JSON</a></p>` : nothing}`,
  );
}

const item = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

function about({ version, revision, digest, config, geo, workers, listen }) {
  const built = Object.entries(geo?.built_at ?? {});
  draw(
    "about",
    html`<dl>${item("version", version)}${item("revision", revision)}
${item("configuration", html`<code>${(digest ?? "").slice(0, 12)}</code> ${config?.at ? since(config.at, "for ") : nothing}${config?.accepted === false ? html` <span class="state down"><span aria-hidden="true">▼</span> what is on disk was refused</span>` : nothing}`)}
${item("workers", `${workers.alive} of ${workers.of}`)}
${built.map(([path, at]) => item("geography", `${path.split("/").at(-1)}, ${span(now() - at)} old`))}
${(geo?.troubles ?? []).map((one) => item("geography", html`<span class="state down"><span aria-hidden="true">▼</span> ${one}</span>`))}
${listen?.dns?.length ? item("DNS on", listen.dns.join(", ")) : nothing}</dl>
<nav aria-label="For machines"><a href="/api/v1/status">status</a> <a href="/api/v1/events">events</a> <a href="/api/v1/orders">orders</a> <a href="/metrics">metrics</a> <a href="/api/v1/openapi.json">API</a></nav>`,
  );
}

function link({ state, since: at }) {
  const words = {
    live: html`<span class="state up"><span aria-hidden="true">●</span> live</span>`,
    connecting: html`<span class="muted">connecting …</span>`,
    lost: html`<span class="state down"><span aria-hidden="true">▼</span> no news for <time data-since=${at} data-before=" "></time></span>`,
    locked: html`<span class="muted">signed out</span>`,
  };
  draw("link", words[state]);
}

// A page that hears nothing must not go on saying that all is well.
let silence = 0;

function quiet({ state, since: at }) {
  clearTimeout(silence);
  if (state !== "lost") return;
  const why = "What stands below is how it was then. Its workers answer on without the process that speaks here.";
  const say = () => headline({ level: "bad", text: `No news from ${known.summary.node ?? "this node"}.`, why, since: at });
  silence = setTimeout(say, Math.max(0, at * 1000 + LOST_MS - Date.now()));
}

export function summary() {
  on("link", link);
  on("link", quiet);
  on("summary", (found) => {
    headline(found.headline, found.also);
    if (!mayRead()) return;
    tiles(found);
    orders(found);
    about(found);
  });
  on("rate", (found) => {
    rate = found;
    if (known.summary && mayRead()) tiles(known.summary);
  });
}
