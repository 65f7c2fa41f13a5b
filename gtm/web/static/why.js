// A question in, the whole decision out: which rule, which pools were tried, what each member was worth, and why.

import { ask } from "./api.js";
import { draw } from "./draw.js";
import { ladder, state } from "./parts.js";
import { on } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { bare, count, plural } from "./words.js";

const MOST_ANSWERS = 12; // on the page; a pool of a hundred has as many answers, by turns
const asked = { name: "", type: "A", client: "", assume: "" };
let names = [];
let found = null;
let wrong = null;

async function look() {
  const words = new URLSearchParams({ name: asked.name, type: asked.type });
  if (asked.client) words.set("client", asked.client);
  for (const one of asked.assume.split(/[\s,]+/).filter(Boolean)) words.append("assume", one);
  try {
    [found, wrong] = [await ask(`/api/v1/explain?${words}`), null];
  } catch (error) {
    [found, wrong] = [null, error];
  }
  redraw();
}

const memberState = (one) => (one.order && one.state === "up" ? "ordered" : one.state);

const pool = (one, index, all) => html`<li class=${one.usable ? "usable" : "passed"}>
<details ?open=${one.usable || index === 0 || all.length < 3}><summary><b>${one.pool}</b> ${one.usable ? state(index === 0 ? "up" : "fallback", "answers") : state("down", "passed over")} <span class="muted">${one.reason}</span></summary>
<div class="tabled stacks" tabindex="0" role="region" aria-label=${`${one.pool}, its members`}><table><thead><tr><th scope="col">member</th><th scope="col">state</th><th scope="col">may be answered</th><th scope="col" class="num">weight</th><th scope="col">because</th></tr></thead>
<tbody>${one.members.map((each) => html`<tr class=${memberState(each)}><th scope="row">${each.endpoint}</th><td>${state(memberState(each))}</td><td data-of="may be answered">${each.eligible ? "yes" : "no"}</td><td class="num" data-of="weight">${Math.round(each.weight * 100) / 100}</td><td>${[each.reason, each.order && `◆ ${each.order}`].filter(Boolean).join("; ")}</td></tr>`)}</tbody></table></div></details></li>`;

const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

const decision = (one) => html`<div class="decision" role="status"><p class="said">${one.answers.length ? html`<code>${one.answers.slice(0, MOST_ANSWERS).map(bare).join("  ")}</code>${one.answers.length > MOST_ANSWERS ? html` <span class="muted">and ${count(one.answers.length - MOST_ANSWERS)} more</span>` : nothing}` : one.rcode === "NOERROR" || one.rcode === 0 ? "No records of this type." : `${one.rcode}`}</p>
<dl class="facts">${one.rung ? fact("rung", ladder(one.rung)) : nothing}${one.rule ? fact("rule", `no. ${one.rule}`) : nothing}
${one.pool ? fact("pool", one.pool) : nothing}${fact("TTL", `${one.ttl} s`)}${one.client ? fact("client", `${one.client}${one.place ? `, ${one.place}` : ", nowhere known"}`) : nothing}
${one.client ? fact("ECS scope", `/${one.ecs_scope}`) : nothing}</dl>
${one.why ? html`<p class="muted">${one.why}</p>` : nothing}
${one.tried.length ? html`<h3>${plural(one.tried.length, "pool was", "pools were")} tried, in this order</h3><ol class="tried">${one.tried.map(pool)}</ol>` : nothing}</div>`;

const field = (key, words, more) => html`<label class="field"><span>${words}</span><input .value=${asked[key]} maxlength="255" spellcheck="false" autocomplete="off" placeholder=${more.hint ?? ""} list=${more.list ?? nothing} ?required=${more.required}
@input=${(event) => {
  asked[key] = event.target.value;
}}></label>`;

function redraw() {
  draw(
    "why",
    html`<form class="asking" @submit=${(event) => {
      event.preventDefault();
      void look();
    }}>${field("name", "Name", { required: true, list: "known-names", hint: "live.example.com" })}
<datalist id="known-names">${names.map((one) => html`<option value=${one}></option>`)}</datalist>
<label class="field short"><span>Type</span><select @change=${(event) => {
      asked.type = event.target.value;
    }}>${["A", "AAAA", "CNAME", "HTTPS", "TXT"].map((one) => html`<option ?selected=${asked.type === one}>${one}</option>`)}</select></label>
${field("client", "Client address or prefix", { hint: "198.51.100.0/24" })}${field("assume", "What if", { hint: "fra-*=down" })}
<button type="submit" class="main">Explain</button></form>
${wrong ? html`<p class="wrong" role="alert"><span aria-hidden="true">▼</span> ${wrong.message}${wrong.hint ? `: ${wrong.hint}` : ""}</p>` : nothing}
${found ? decision(found) : nothing}`,
  );
}

export function why() {
  const panel = document.getElementById("why");
  if (!panel) return;
  panel.hidden = false;
  on("rows:names", (rows) => {
    names = rows.map((one) => bare(one.name));
    asked.name ||= names[0] ?? "";
    redraw();
  });
  on("why", ({ name }) => {
    Object.assign(asked, { name: bare(name) });
    panel.scrollIntoView({ block: "start" });
    panel.querySelector("input")?.focus({ preventScroll: true });
    void look();
  });
  redraw();
}
