// The switches in the bar: signing in and out, colours, and the wall.

import { ask, token } from "./api.js";
import { draw } from "./draw.js";
import { known, on, say } from "./store.js";
import { html, nothing } from "./vendor/lit-html/lit-html.js";

const root = document.documentElement;

function keep(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // Storage may be switched off: the choice holds until the page is closed.
  }
}

const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

function turn() {
  root.dataset.theme = dark() ? "light" : "dark";
  keep("gtm-theme", root.dataset.theme);
  say("theme");
  redraw();
}

function hang() {
  const up = !("wall" in root.dataset);
  if (up) root.dataset.wall = "";
  else delete root.dataset.wall;
  keep("gtm-wall", up ? "yes" : "");
  if (!up && location.hash === "#wall") history.replaceState(null, "", location.pathname);
  say("resize");
  redraw();
}

function signOut() {
  token.set("");
  location.reload();
}

let wrong = "";

const form = (again) => html`<form class="door" @submit=${async (event) => {
  event.preventDefault();
  const before = token.get();
  token.set(new FormData(event.target).get("token").trim());
  try {
    await ask("/api/v1/board");
    location.reload();
  } catch (error) {
    token.set(before);
    wrong = error.message;
    again();
  }
}}><label class="field"><span>Token</span><input type="password" name="token" required autocomplete="off" maxlength="4096"></label>
<small>It is kept in this tab alone, and forgotten with it.</small>
${wrong ? html`<p class="wrong" role="alert"><span aria-hidden="true">▼</span> ${wrong}</p>` : nothing}
<menu>${known.view === "locked" ? nothing : html`<button type="button" @click=${() => document.getElementById("dialog").close()}>Cancel</button>`}<button type="submit" class="main">Sign in</button></menu></form>`;

function signIn() {
  const dialog = document.getElementById("dialog");
  const show = () => draw(dialog, html`<h2 id="dialog-title">Sign in</h2>${form(show)}`);
  wrong = "";
  show();
  dialog.showModal();
}

function redraw() {
  const isDark = dark();
  const walled = "wall" in root.dataset;
  draw("switches", html`${known.you && known.you !== "loopback" ? html`<span class="muted">${known.you}</span>` : nothing}
${token.get() ? html`<button type="button" @click=${signOut}>Sign out</button>` : known.may.has("operate") || known.view === "locked" ? nothing : html`<button type="button" @click=${signIn}>Sign in</button>`}
<button type="button" aria-pressed=${isDark ? "true" : "false"} @click=${turn}><span aria-hidden="true">${isDark ? "☾" : "☀"}</span> Dark</button>
${known.view === "full" ? html`<button type="button" class="hang" aria-pressed=${walled ? "true" : "false"} @click=${hang}><span aria-hidden="true">▭</span> Wall</button>` : nothing}`);
}

export function door() {
  on("me", redraw);
  redraw();
  if (known.view === "locked") {
    const show = () => draw("door", form(show));
    show();
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    say("theme");
    redraw();
  });
}
