// Values in, what people read out. The same words and signs as gtm/web/page.py, which draws the page before us.

const SIGNS = {
  up: "▲", first: "▲", ok: "▲", weak: "◐", fallback: "◐", warn: "◐", stale: "◌", ordered: "◆",
  down: "▼", degraded: "▼", last_resort: "▼", bad: "▼", told: "•",
};
const WORDS = { weak: "weakened", last_resort: "last resort", first: "first pool", ordered: "up, ordered" };

export const sign = (state) => SIGNS[state] ?? "?";
export const word = (state) => WORDS[state] ?? String(state).replaceAll("_", " ");
const COUNTS = new Intl.NumberFormat("en"); // made once: that is what takes long
export const count = (number) => COUNTS.format(number ?? 0);
export const percent = (part) => `${Math.round(part * 100)}%`;
export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

// Two biggest units: 3m 20s.
export function span(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]]) {
    const many = Math.floor(left / length);
    left %= length;
    if (many || (unit === "s" && !parts.length)) parts.push(`${many}${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

const two = (number) => String(number).padStart(2, "0");

// A moment in the clock of whoever looks; the date only when it is not today's, or when it is asked for.
export function clock(at, dated = false) {
  const then = new Date(at * 1000);
  const time = `${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`;
  return !dated && then.toDateString() === new Date().toDateString()
    ? time
    : `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())} ${time}`;
}

// Whole numbers from a hundred on, three digits below.
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  return Math.abs(value) >= 100 ? count(Math.round(value)) : String(Number(value.toPrecision(3)));
}

// A name, or what ends in one, without the dot of the root, as people write it; as gtm/names.py has it.
export const bare = (name) => String(name).replace(/(.)\.$/, "$1");
