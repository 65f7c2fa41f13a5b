// Who asks, from where, and who is answered; members' shares beside what was intended; whom a failover moved.

import { ask } from "./api.js";
import { draw, now } from "./draw.js";
import { since } from "./parts.js";
import { mayRead, on, say } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { bare, count, percent, plural } from "./words.js";

const EVERY_S = 30;
const ROWS = 8;
const MOVES = 5;

let askedAt = 0;

const head = (columns) => html`<thead><tr>${columns.map((one, at) => html`<th scope="col" class=${at ? "num" : ""}>${one}</th>`)}</tr></thead>`;

const list = (title, columns, rows, cells) => rows.length
  ? html`<section><h3>${title}</h3><div class="tabled"><table>${head(columns)}<tbody>${rows.slice(0, ROWS).map((one) => {
      const [first, ...rest] = cells(one);
      return html`<tr><th scope="row">${first}</th>${rest.map((cell) => html`<td class="num">${cell}</td>`)}</tr>`;
    })}</tbody></table></div></section>`
  : nothing;

const shared = (one) => [bare(one.name), count(one.count), percent(one.share)];

const resolver = (one) => [
  html`<code>${one.address}</code> <span class="muted">${[one.place, one.asn ? `AS${one.asn}` : ""].filter(Boolean).join(" ")}</span>`,
  percent(one.share),
  percent(one.with_subnet),
];

const move = (one) => {
  const { from, to, moved_per_minute: moved } = one.pools;
  const names = (some) => some.map((line) => line.pool).join(", ");
  return html`<li>${since(one.at)} ${one.subjects[0]}${one.subjects.length > 1 ? ` and ${one.subjects.length - 1} more` : ""}:
${one.settled
    ? moved
      ? html`<b>${count(Math.round(moved))}</b> of ${count(Math.round(one.answers_per_minute_before))} answers a minute went from ${names(from)} to ${names(to)}`
      : "no answers went to another pool"
    : html`<span class="muted">being measured</span>`}</li>`;
};

function questions({ queries }) {
  const part = (by, name) => queries[by].find((one) => one.name === name)?.share ?? 0;
  if (!queries.total.length) return nothing;
  return html`<p class="facts">${plural(queries.total[0].count, "question", "questions")} in the last hour:
<b>${percent(part("subnet", "with"))}</b> with a client subnet, <b>${percent(part("subnet", "without"))}</b> without;
${queries.transport.map((one, at) => html`${at ? ", " : ""}<b>${percent(one.share)}</b> over ${one.name.toUpperCase()}`)}.</p>`;
}

function redraw(found) {
  const { answers, resolvers, movements } = found;
  const panel = document.getElementById("audience");
  if (!panel) return;
  panel.hidden = false;
  const some = resolvers.length || answers.name.length;
  draw(
    "audience",
    some
      ? html`${questions(found)}<div class="lists">
${list("Resolvers that ask most", ["resolver", "of all", "with subnet"], resolvers, resolver)}
${list("Countries", ["from", "answers", "of all"], answers.country, shared)}
${list("Networks", ["from", "answers", "of all"], answers.asn, shared)}
${list("Names", ["name", "answers", "of all"], answers.name, shared)}</div>
${movements.length ? html`<section><h3>Whom failovers and orders moved</h3><ul class="moves">${movements.slice(0, MOVES).map(move)}</ul></section>` : nothing}`
      : html`<p class="none">Nobody has asked in the last hour.</p>`,
  );
}

async function fetchAll() {
  askedAt = now();
  const found = await ask("/api/v1/analytics?since=1h").catch(() => null);
  if (!found) return;
  say("shares", new Map(found.shares.map((one) => [`${one.pool}/${one.endpoint}`, one])));
  redraw(found);
}

export function audience() {
  on("pulse", (at) => {
    if (!document.hidden && mayRead() && at - askedAt >= EVERY_S) void fetchAll();
  });
}
