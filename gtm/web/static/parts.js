// The pieces of the page, as templates/parts.html draws them before us.

import { html, nothing, svg } from "./vendor/lit-html/lit-html.js";
import { clock, count, percent, plural, sign, word } from "./words.js";

export const state = (of, words = word(of)) =>
  html`<span class="state ${of}"><span aria-hidden="true">${sign(of)}</span> ${words}</span>`;

// A moment for machines and one for people; a page has hundreds of them, and they are drawn again and again.
const moments = new Map();
const MOST_MOMENTS = 5000;

function moment(at) {
  if (!moments.has(at)) {
    if (moments.size >= MOST_MOMENTS) moments.clear();
    moments.set(at, [new Date(at * 1000).toISOString(), clock(at, true)]);
  }
  return moments.get(at);
}

export const since = (at, before = "", after = " ago") =>
  at
    ? html`<time data-since=${at} data-before=${before} data-after=${before ? "" : after} datetime=${moment(at)[0]} title=${moment(at)[1]}></time>`
    : html`<span class="muted">–</span>`;

export const until = (at, before = "", over = "now", after = "") =>
  html`<time data-until=${at} data-before=${before} data-over=${over} data-after=${after} datetime=${moment(at)[0]} title=${moment(at)[1]}></time>`;

const STEPS = ["first", "fallback", "degraded", "last_resort"];

export const ladder = (rung) => html`<span class="ladder ${rung}"><svg viewBox="0 0 46 10" aria-hidden="true">
${STEPS.map((one, at) => svg`<rect x=${at * 12} y="1" width="10" height="8" rx="2" class=${one === rung ? "here" : ""}></rect>`)}
</svg>${state(rung)}</span>`;

export const share = (part) => html`<span class="bar" title="share of the pool's answers">
<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="8"></rect>
<rect class="fill" width=${part * 100} height="8"></rect></svg><span class="num">${percent(part)}</span></span>`;

const order = (text) => (text ? html`<span class="reason"><span aria-hidden="true">◆</span> ${text}</span>` : nothing);

// In how many of its pool's answers a member stood in ten minutes, beside what was intended; an answer may hold several.
const given = (one) => one
  ? html`<span class="given ${one.uneven ? "uneven" : ""}"><span aria-hidden="true">${one.uneven ? sign("weak") : ""}</span> in ${percent(one.delivered)} of ${count(one.answers)} answers, ${percent(one.intended)} intended${one.uneven ? ": uneven" : ""}</span>`
  : nothing;

// `act` draws the button of whoever may give orders, `lately` is what it was given lately, if that is known.
export const member = (one, act, lately) => html`<li class=${one.condition}>
<span class="who"><span class="state ${one.condition}"><span aria-hidden="true">${sign(one.condition)}</span></span>
<b>${one.endpoint}</b> <span class="state word ${one.condition}">${word(one.condition)}</span></span>${share(one.share)}
<span class="num weight"><span class="muted">weight</span> ${Math.round(one.weight * 100) / 100}</span>
<span class="since">${since(one.since, "for ")}${act(one.endpoint)}</span>
${one.measured && one.condition !== "up" ? html`<span class="reason">${one.measured}</span>` : nothing}${order(one.order)}${given(lately)}</li>`;

export const detects = (one) =>
  one.detects_within_s === null ? "not checked" : `sees a death within ${Math.round(one.detects_within_s * 10) / 10}\u00a0s`;

export const poolCard = (one, act, more, shares) => html`<article class="card ${one.condition}">
<header><h3>${one.pool}</h3>${state(one.condition)}${act(`pool:${one.pool}`)}</header>
<p class="facts">${one.up} of ${one.members} up<span class="rest">${one.names ? ` · serves ${plural(one.names, "name", "names")}` : ""} ·
${one.balance} · ${detects(one)}${one.since ? html` · ${since(one.since, "so for ")}` : nothing}</span></p>
<ul class="members">${one.roster.map((each) => member(each, act, shares.get(`${one.pool}/${each.endpoint}`)))}</ul>
${one.members > one.roster.length ? more(one) : nothing}</article>`;
