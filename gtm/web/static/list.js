// One list that the server searches, filters, sorts and pages; we keep the rows that are shown, and no others.

import { ask, query } from "./api.js";
import { draw, tools } from "./draw.js";
import { on, say } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { count, word } from "./words.js";

const TYPING_MS = 150;
const SPARING_MS = 1000; // a storm makes the list be asked for once a second, whatever happens in between

const keyOf = { names: "name", pools: "pool", endpoints: "key", sites: "site" };

export class List {
  constructor(kind, { limit, states = [], body, hint }) {
    Object.assign(this, { kind, limit, states, body, hint });
    this.asked = { search: "", state: "", pool: "", site: "", offset: 0 };
    this.rows = null;
    this.total = 0;
    this.matched = 0;
    this.timer = 0;
    this.fetchedAt = 0;
    this.number = 0;
    on("hello", () => this.fetch());
    on("change", (change) => this.apply(change));
  }

  // Show what somebody asked for elsewhere, for example the members of a pool.
  show(asked) {
    this.asked = { search: "", state: "", pool: "", site: "", offset: 0, ...asked };
    void this.fetch();
    const panel = document.getElementById(this.kind);
    panel?.scrollIntoView({ block: "start" });
    panel?.querySelector("input")?.focus({ preventScroll: true });
  }

  set(asked) {
    this.asked = { ...this.asked, offset: 0, ...asked };
    this.later(TYPING_MS);
    this.redraw();
  }

  later(wait_ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetch(), wait_ms);
  }

  async fetch() {
    clearTimeout(this.timer);
    this.timer = 0;
    const number = ++this.number;
    this.fetchedAt = Date.now();
    try {
      const found = await ask(`/api/v1/${this.kind}${query({ ...this.asked, limit: this.limit })}`);
      if (number !== this.number) return; // a later question has overtaken this one
      this.rows = found[this.kind];
      this.total = found.total;
      this.matched = found.matched;
      this.redraw();
      say(`rows:${this.kind}`, this.rows);
    } catch (wrong) {
      if (wrong.status !== 401) this.later(SPARING_MS * 2);
    }
  }

  apply({ changed, gone, many }) {
    const news = changed[this.kind] ?? [];
    if (this.rows === null || !(news.length || gone[this.kind] || many.includes(this.kind))) return;
    const key = keyOf[this.kind];
    const byKey = new Map(news.map((row) => [row[key], row]));
    let moved = many.includes(this.kind) || Boolean(gone[this.kind]);
    const rank = (row) => row.rung ?? row.condition;
    this.rows = this.rows.map((row) => {
      const fresh = byKey.get(row[key]);
      if (!fresh) return row;
      byKey.delete(row[key]);
      moved ||= rank(fresh) !== rank(row);
      return fresh;
    });
    // What is shown is right at once; whether something else belongs here now, the server says a moment later.
    this.redraw();
    say(`rows:${this.kind}`, this.rows);
    if ((moved || byKey.size) && !this.timer) this.later(Math.max(0, this.fetchedAt + SPARING_MS - Date.now()));
  }

  redraw() {
    if (this.rows === null) return;
    if (this.hint !== undefined) this.tools();
    draw(this.kind, html`${this.body(this.rows, this)}${this.pager()}`);
  }

  tools() {
    const { search, state, pool, site } = this.asked;
    const chip = (name, value) =>
      value
        ? html`<button type="button" class="chip" @click=${() => this.set({ [name]: "" })}>${name} <b>${value}</b> <span aria-hidden="true">×</span><span class="unseen">, remove this filter</span></button>`
        : nothing;
    tools(
      this.kind,
      html`<form class="filter" role="search" aria-label=${`Search ${this.kind}`} @submit=${(event) => event.preventDefault()}>
${chip("pool", pool)}${chip("site", site)}
<label><span class="unseen">Search ${this.kind}</span><input type="search" placeholder=${this.hint} .value=${search} maxlength="255" spellcheck="false" autocomplete="off"
@input=${(event) => this.set({ search: event.target.value })}></label>
${
  this.states.length
    ? html`<label><span class="unseen">State of ${this.kind}</span><select @change=${(event) => this.set({ state: event.target.value })}>
<option value="" ?selected=${!state}>all states</option>
${this.states.map((one) => html`<option value=${one} ?selected=${state === one}>${one === "trouble" ? "in trouble" : word(one)}</option>`)}</select></label>`
    : nothing
}</form>`,
    );
  }

  pager() {
    const { offset } = this.asked;
    const shown = this.rows.length;
    const found = `${shown ? `${count(offset + 1)}–${count(offset + shown)} of ` : ""}${count(this.matched)}${this.matched < this.total ? ` (of ${count(this.total)} in all)` : ""}`;
    if (this.matched <= this.limit && this.matched === this.total) return nothing;
    const turn = (to) => {
      this.asked = { ...this.asked, offset: Math.max(0, to) };
      void this.fetch();
    };
    return html`<nav class="pager" aria-label=${`Pages of ${this.kind}`}><span role="status">${found}</span>
<button type="button" ?disabled=${offset === 0} @click=${() => turn(offset - this.limit)}><span aria-hidden="true">←</span> back</button>
<button type="button" ?disabled=${offset + shown >= this.matched} @click=${() => turn(offset + this.limit)}>on <span aria-hidden="true">→</span></button></nav>`;
  }
}
