// Series over time in, plots out; each says in words and in a table what it shows, for who cannot see a canvas.

import { ask, query } from "./api.js";
import { draw, now, tools } from "./draw.js";
import { Plot, walled } from "./plot.js";
import { mayRead, on, say } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { clock, number, percent } from "./words.js";

// More cannot be told apart, on the wall from five metres; the busiest are shown, and the API has them all.
const mostLines = () => (walled() ? 5 : 8);
const TABLE_ROWS = 12;
const ASKERS_S = 30;
const RANGES = [["15m", "15 minutes"], ["1h", "1 hour"], ["1d", "1 day"], ["31d", "31 days"]];
const FALLS = new Set(["failed", "fallback", "degraded", "last_resort"]);

const PLOTS = [
  { id: "answers", title: "Answers per second by pool", kind: "answers", by: "pool", format: number },
  { id: "share", title: "Share of answers by pool", kind: "answers", by: "pool", stacked: true, format: percent },
  { id: "probes", title: "Time of probes, ms", kind: "probe_ms", by: "endpoint", format: number },
  { id: "latency", title: "Behind live, seconds", kind: "latency_s", by: "endpoint", format: number },
];

let range = "15m";
let fetchedAt = 0;
let step_s = 10;
let askedAt = 0;
let busy = false;
let marks = [];
const found = new Map(); // "kind/by" -> what the node sent
const drawn = new Map(); // id -> Plot

// Parts of the whole at each moment; where nothing was answered there are none.
function shares(lines) {
  const totals = lines[0]?.values.map((_, at) => lines.reduce((sum, one) => sum + (one.values[at] ?? 0), 0)) ?? [];
  return lines.map((one) => ({ ...one, values: one.values.map((value, at) => (value === null || !totals[at] ? null : value / totals[at])) }));
}

function linesOf(plot) {
  const sent = found.get(`${plot.kind}/${plot.by}`);
  if (!sent?.at.length || !sent.series.length) return null;
  const kept = sent.series.slice(0, mostLines()).sort((one, other) => one.name.localeCompare(other.name));
  return { at: sent.at, lines: plot.stacked ? shares(kept) : kept, hidden: sent.series.length - kept.length };
}

const latest = (values) => values.findLast((value) => value !== null) ?? null;

function inWords(plot, { lines }) {
  const said = lines.map(({ name, values }) => {
    const most = Math.max(...values.filter((value) => value !== null));
    return `${name} now ${plot.format(latest(values))}, at most ${plot.format(most)}`;
  });
  const fell = marks.filter((one) => one.bad).length;
  return `${plot.title}, over ${RANGES.find(([value]) => value === range)[1]}: ${said.join("; ")}.${fell ? ` ${fell} failovers are marked.` : ""}`;
}

const table = (plot, { at, lines }) => html`<details><summary>as a table</summary><div class="tabled" tabindex="0" role="region" aria-label=${`${plot.title}, the table`}><table><thead><tr><th scope="col">at</th>${lines.map(({ name }) => html`<th scope="col" class="num">${name}</th>`)}</tr></thead>
<tbody>${at.slice(-TABLE_ROWS).map((when, row, rows) => html`<tr><th scope="row">${clock(when)}</th>${lines.map(({ values }) => html`<td class="num">${plot.format(values[at.length - rows.length + row])}</td>`)}</tr>`)}</tbody></table></div></details>`;

const figure = (plot) => {
  const data = linesOf(plot);
  return data === null
    ? nothing
    : html`<figure data-plot=${plot.id}><figcaption>${plot.title}${data.hidden > 0 ? html` <span class="muted">(the ${data.lines.length} busiest)</span>` : nothing}</figcaption>
<div class="canvas" role="img" aria-label=${inWords(plot, data)}></div><ul class="legend" aria-hidden="true"></ul>${table(plot, data)}</figure>`;
};

function redraw() {
  const panel = document.getElementById("plots");
  if (!panel) return;
  const shown = PLOTS.map((plot) => [plot, linesOf(plot)]).filter(([, data]) => data !== null);
  panel.hidden = false;
  draw("plots", shown.length ? html`<div class="plotting">${PLOTS.map(figure)}</div>` : html`<p class="none">Nothing is measured yet: nobody asks, and no check looks.</p>`);
  for (const [plot, data] of shown) {
    const at = panel.querySelector(`[data-plot="${plot.id}"]`);
    let one = drawn.get(plot.id);
    if (!one || one.within !== at) {
      one?.destroy();
      one = new Plot(at, plot);
      drawn.set(plot.id, one);
    }
    one.show(data, marks);
  }
}

function controls() {
  tools("plots", html`<label class="filter"><span class="unseen">Show the last</span><select @change=${(event) => {
    range = event.target.value;
    void fetchAll();
  }}>${RANGES.map(([value, words]) => html`<option value=${value} ?selected=${value === range}>last ${words}</option>`)}</select></label>`);
}

async function fetchAll() {
  if (busy) return;
  busy = true;
  fetchedAt = now();
  for (const key of new Set(PLOTS.map((plot) => `${plot.kind}/${plot.by}`))) {
    const [kind, by] = key.split("/");
    const sent = await ask(`/api/v1/series${query({ kind, by, since: range })}`).catch(() => null);
    if (sent) {
      found.set(`${kind}/${by}`, sent);
      step_s = sent.step_s;
    }
  }
  busy = false;
  const answers = found.get("answers/pool");
  if (answers?.series.length) say("rate", number(answers.series.reduce((sum, one) => sum + (latest(one.values) ?? 0), 0)));
  redraw();
}

async function fetchAskers() {
  askedAt = now();
  const sent = await ask("/api/v1/places").catch(() => null);
  if (!sent) return;
  const regions = new Intl.DisplayNames(["en"], { type: "region", fallback: "code" });
  const words = ({ place, continent }) => {
    const [, country, ...more] = place.split("-");
    return country ? [regions.of(country), ...more].join(" ") : continent;
  };
  say("askers", sent.places.map((one) => ({ ...one, words: words(one) })));
}

export function plots() {
  controls();
  // Measured points have no events of their own: when the node's pulse says that one is due, it is fetched.
  on("pulse", (at) => {
    if (document.hidden || !mayRead()) return;
    if (at - fetchedAt >= Math.max(step_s, 5)) void fetchAll();
    if (at - askedAt >= ASKERS_S) void fetchAskers();
  });
  on("history", (events) => {
    marks = events
      .filter((one) => one.kind === "pool" && one.before)
      .map((one) => ({ at: one.at, bad: FALLS.has(one.after), words: `${one.subject} ${one.after}` }));
    if (drawn.size) redraw();
  });
  const redress = () => {
    if (drawn.size) redraw();
    drawn.forEach((one) => one.redress());
  };
  for (const topic of ["theme", "resize"]) on(topic, redress);
  addEventListener("resize", redress);
}
