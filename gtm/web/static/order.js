// An operator's wish in, an order out: what it would do is shown first, and only what was shown is given.

import { ask, Refused } from "./api.js";
import { draw } from "./draw.js";
import { ladder, until } from "./parts.js";
import { mayOperate } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";
import { bare, count, percent, plural } from "./words.js";

const KINDS = [
  ["drain", "Drain", "no new answers; those who have it may stay"],
  ["down", "Force down", "as if it were down"],
  ["up", "Force up", "as if it were up, whatever the checks say"],
  ["weight", "Weight", "give it a part of its share"],
];
const LASTING = [["15m", "15 minutes"], ["30m", "30 minutes"], ["1h", "1 hour"], ["4h", "4 hours"], ["12h", "12 hours"], ["", "as configured"]];
const SHOWN = 8;

const dialog = () => document.getElementById("dialog");

// A button beside everything that can be ordered about; nobody else sees one.
export const act = (target) =>
  mayOperate()
    ? html`<button type="button" class="act" title="Give an order" @click=${() => open(target)}><span aria-hidden="true">⋯</span><span class="unseen">Give an order to ${target}</span></button>`
    : nothing;

const blank = (target) => ({ target, order: "drain", value: 50, for_s: "1h", why: "", preview: null, glass: false, error: null, busy: false, done: null });

let wish = blank("");

function change(some) {
  // Whatever is changed after the preview makes it stale, but for the glass, which the preview asked for.
  const stale = Object.keys(some).some((key) => ["target", "order", "value", "for_s", "why"].includes(key));
  wish = { ...wish, ...(stale ? { preview: null, glass: false, error: null } : {}), ...some };
  redraw();
}

export function open(target) {
  wish = blank(target);
  redraw();
  dialog().showModal();
}

const close = () => dialog().close();

const body = () => ({
  target: wish.target,
  order: wish.order,
  ...(wish.order === "weight" ? { value: wish.value / 100 } : {}),
  ...(wish.for_s ? { for_s: wish.for_s } : {}),
  why: wish.why,
});

async function attempt(work) {
  change({ busy: true, error: null });
  try {
    change({ busy: false, ...(await work()) });
  } catch (wrong) {
    change({ busy: false, error: wrong instanceof Refused ? wrong : new Refused(0, { error: { message: String(wrong) } }) });
  }
}

const preview = () => attempt(async () => ({ preview: await ask("/api/v1/orders", { method: "POST", body: { ...body(), dry_run: true } }) }));

const confirm = () =>
  attempt(async () => {
    const sent = { ...body(), ...(wish.glass ? { break_glass: true } : {}) };
    return { done: (await ask("/api/v1/orders", { method: "POST", body: sent })).order };
  });

// --- how it looks --------------------------------------------------------------------------------------------------

const side = ({ rung, pool }) => html`${ladder(rung)} <span class="muted">${pool || "no pool"}</span>`;

// A node that has counted nothing yet knows no share.
const moved = ({ share, names_total }) => {
  const touched = plural(names_total, "name is answered otherwise", "names are answered otherwise");
  return share === null || share === undefined ? touched : html`<b>${percent(share)}</b> of all answers move; ${touched}`;
};

function foreseen(found) {
  return html`<section class="foreseen" aria-label="What it would do" role="status">
<p>${plural(found.endpoints.length, "endpoint is", "endpoints are")} meant: ${found.endpoints.slice(0, SHOWN).join(", ")}${found.endpoints.length > SHOWN ? ` and ${count(found.endpoints.length - SHOWN)} more` : ""}. ${moved(found)}.</p>
${
  found.names.length
    ? html`<div class="tabled stacks"><table><thead><tr><th scope="col">name</th><th scope="col">now</th><th scope="col">then</th></tr></thead>
<tbody>${found.names.slice(0, SHOWN).map((one) => html`<tr><th scope="row">${bare(one.name)}</th><td data-of="now">${side(one.before)}</td><td data-of="then">${side(one.after)}</td></tr>`)}</tbody></table></div>`
    : nothing
}
${
  found.refused
    ? html`<div class="refused"><p><span class="state down"><span aria-hidden="true">▼</span> This would be refused.</span> ${found.refused.message}</p>
<label><input type="checkbox" .checked=${wish.glass} @change=${(event) => change({ glass: event.target.checked })}> Break the glass: do it all the same</label></div>`
    : nothing
}</section>`;
}

function given(order) {
  const drains = order.order === "drain" || order.order === "down";
  return html`<h2 id="dialog-title">Ordered</h2>
<p role="status"><span class="state ordered"><span aria-hidden="true">◆</span> ${order.order}</span> <b>${order.target}</b>.
${order.unconfirmed.length ? "It is kept, but not every worker has confirmed it yet." : "Every worker answers accordingly."}</p>
${drains ? html`<p class="countdown">${order.safe_at ? until(order.safe_at, "safe to stop in ", "▲ safe to stop") : "waiting for the last old answer"}</p>` : nothing}
<menu><button type="button" class="main" @click=${close}>Close</button></menu>`;
}

const wanted = () => html`<form @submit=${(event) => {
  event.preventDefault();
  void (wish.preview ? confirm() : preview());
}}>
<h2 id="dialog-title">Give an order</h2>
<label class="field"><span>Target</span><input required maxlength="255" .value=${wish.target} spellcheck="false" autocomplete="off" aria-describedby="target-hint"
@input=${(event) => change({ target: event.target.value })}><small id="target-hint">an endpoint, a glob, site:NAME or pool:NAME</small></label>
<fieldset class="kinds"><legend>Order</legend>${KINDS.map(
  ([kind, words, hint]) => html`<label><input type="radio" name="order" value=${kind} .checked=${wish.order === kind} @change=${() => change({ order: kind })}><span><b>${words}</b> <small>${hint}</small></span></label>`,
)}</fieldset>
${
  wish.order === "weight"
    ? html`<label class="field"><span>Part of its weight</span><span class="slide"><input type="range" min="0" max="100" step="5" .value=${String(wish.value)} @input=${(event) => change({ value: Number(event.target.value) })}><output>${wish.value}%</output></span></label>`
    : nothing
}
<div class="pair"><label class="field"><span>For</span><select @change=${(event) => change({ for_s: event.target.value })}>${LASTING.map(([value, words]) => html`<option value=${value} ?selected=${wish.for_s === value}>${words}</option>`)}</select></label>
<label class="field grow"><span>Reason</span><input maxlength="500" .value=${wish.why} placeholder="for whoever reads this tonight" @input=${(event) => change({ why: event.target.value })}></label></div>
${wish.preview ? foreseen(wish.preview) : nothing}
${wish.error ? html`<p class="wrong" role="alert"><span aria-hidden="true">▼</span> ${wish.error.message}${wish.error.hint ? `: ${wish.error.hint}` : ""}</p>` : nothing}
<menu><button type="button" @click=${close}>Cancel</button>
<button type="submit" class="main" ?disabled=${wish.busy || Boolean(wish.preview?.refused && !wish.glass)}>${wish.preview ? (wish.glass ? "Break the glass" : "Give the order") : "Preview"}</button></menu></form>`;

function redraw() {
  draw(dialog(), wish.done ? given(wish.done) : wanted());
}

// Releasing is asked for once more: it moves viewers, too.
export function release(order) {
  const state = { error: null, busy: false, preview: null, glass: false };
  const path = `/api/v1/orders/${encodeURIComponent(order.id)}`;
  const show = () =>
    draw(
      dialog(),
      html`<h2 id="dialog-title">Release this order?</h2>
<p><span class="state ordered"><span aria-hidden="true">◆</span> ${order.order}</span> <b>${order.target}</b>${order.why ? `: ${order.why}` : ""}</p>
<p>Its endpoints are answered by their checks again.</p>
${state.error ? html`<p class="wrong" role="alert"><span aria-hidden="true">▼</span> ${state.error.message}</p>` : nothing}
${
  state.error?.code === "below-floor"
    ? html`<label><input type="checkbox" @change=${(event) => {
        state.glass = event.target.checked;
      }}> Break the glass: do it all the same</label>`
    : nothing
}
<menu><button type="button" @click=${close}>Cancel</button><button type="button" class="main" ?disabled=${state.busy} @click=${async () => {
  state.busy = true;
  show();
  try {
    await ask(`${path}${state.glass ? "?break_glass=true" : ""}`, { method: "DELETE" });
    close();
  } catch (wrong) {
    state.error = wrong;
  }
  state.busy = false;
  show();
}}>Release</button></menu>`,
    );
  show();
  dialog().showModal();
}
