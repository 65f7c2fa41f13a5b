// One plot on a canvas, by uPlot: lines or stacked shares, with marks where pools fell and came back.

import { clock } from "./words.js";

const HEIGHT_PX = 190;
const TEXT_PX = 12; // all else in a plot is as much bigger as its text is
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]]; // lines differ by more than their colour
const COLOURS = 8;

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = (index) => css(`--line-${(index % COLOURS) + 1}`);
// On the wall a plot is as high as there is room for, and its text as big as all other.
export const walled = () => "wall" in document.documentElement.dataset;
const textPx = () => (walled() ? parseFloat(getComputedStyle(document.documentElement).fontSize) : TEXT_PX);
// Opaque, since areas are painted over each other.
const tinted = (index) => `color-mix(in srgb, ${colour(index)} 45%, ${css("--panel")})`;

// Each line on the ones below it; a gap in one is a gap in all.
function stacked(lines) {
  const sums = [];
  for (const { values } of lines) {
    const below = sums.at(-1);
    sums.push(values.map((value, at) => (value === null ? null : value + (below?.[at] ?? 0))));
  }
  return sums;
}

export class Plot {
  constructor(within, { stacked: isStacked = false, format }) {
    this.within = within;
    this.isStacked = isStacked;
    this.format = format;
    this.box = within.querySelector(".canvas");
    this.legend = within.querySelector(".legend");
    this.names = "";
    this.marks = [];
    this.chart = null;
    this.lines = [];
  }

  show({ at, lines }, marks) {
    this.lines = lines;
    this.marks = marks;
    this.at = at;
    const values = this.isStacked ? stacked(lines) : lines.map((one) => one.values);
    // Stacked areas are painted from the top one down, so that each leaves its own part to be seen.
    const data = [at, ...(this.isStacked ? [...values].reverse() : values)];
    const names = lines.map((one) => one.name).join("\n");
    if (names !== this.names || !this.chart) {
      this.destroy();
      this.names = names;
      this.chart = new uPlot(this.options(), data, this.box);
    } else {
      this.chart.setData(data);
    }
    this.tell(null);
  }

  order() {
    const all = this.lines.map((_, index) => index);
    return this.isStacked ? all.reverse() : all;
  }

  options() {
    const text = textPx();
    const big = text / TEXT_PX;
    const line = (index) => ({
      label: this.lines[index].name,
      stroke: () => colour(index),
      width: (this.isStacked ? 1 : 1.75) * big,
      dash: this.isStacked ? [] : DASHES[Math.floor(index / 2) % DASHES.length].map((one) => one * big),
      fill: this.isStacked ? () => tinted(index) : undefined,
      points: { show: this.at.length < 3 },
      spanGaps: false,
    });
    const axis = { stroke: () => css("--muted"), grid: { stroke: () => css("--grid"), width: 1 }, ticks: { stroke: () => css("--grid"), width: 1 }, font: `${text}px ${css("--font")}` };
    return {
      width: this.width(),
      height: this.height(),
      padding: [8 * big, 26 * big, 0, 0],
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { show: !this.isStacked } },
      scales: { x: { time: true }, y: { range: (_, least, most) => (this.isStacked ? [0, 1] : [0, most > 0 ? most * 1.1 : 1]) } },
      series: [{}, ...this.order().map(line)],
      axes: [{ ...axis, values: (_, ticks) => ticks.map((one) => this.moment(one)), size: big > 1 ? 2 * text : 50, space: 76 * big }, { ...axis, size: big > 1 ? (_, said) => 18 + 0.62 * text * Math.max(0, ...(said ?? []).map((one) => one.length)) : 48, space: 30 * big, values: (_, ticks) => ticks.map((one) => this.format(one)) }],
      hooks: { draw: [(chart) => this.mark(chart)], setCursor: [(chart) => this.tell(chart.cursor.idx ?? null)] },
    };
  }

  // Seconds only where a plot is minutes long, the day only where it is days long, and no year.
  moment(at) {
    const long_s = this.at.at(-1) - this.at[0];
    const text = clock(at).slice(long_s < 43_200 ? -8 : -14);
    return long_s < 300 ? text : text.replace(/:\d\d$/, "");
  }

  width() {
    return Math.max(240, this.box.clientWidth);
  }

  height() {
    return walled() ? Math.max(HEIGHT_PX / 2, this.box.clientHeight) : HEIGHT_PX;
  }

  // A line down through the plot, with a triangle that points down for a fall and up for a return.
  mark(chart) {
    const { ctx, bbox } = chart;
    const first = this.at[0];
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    for (const { at, bad } of this.marks) {
      if (at < first || at > this.at.at(-1) + 15) continue;
      const x = Math.min(chart.valToPos(at, "x", true), bbox.left + bbox.width);
      const size = (5 * devicePixelRatio * textPx()) / TEXT_PX;
      ctx.strokeStyle = ctx.fillStyle = css(bad ? "--bad" : "--ok");
      ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.beginPath();
      const [flat, tip] = bad ? [bbox.top, bbox.top + size * 1.6] : [bbox.top + size * 1.6, bbox.top];
      ctx.moveTo(x - size, flat);
      ctx.lineTo(x + size, flat);
      ctx.lineTo(x, tip);
      ctx.fill();
    }
    ctx.restore();
  }

  // The legend says what is under the cursor, or else what came last.
  tell(index) {
    this.legend.replaceChildren(
      ...this.lines.map(({ name, values }, at) => {
        const row = document.createElement("li");
        const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        swatch.setAttribute("viewBox", "0 0 22 10");
        const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
        for (const [key, value] of Object.entries({ x1: 0, x2: 22, y1: 5, y2: 5, class: `line-${(at % COLOURS) + 1}` })) stroke.setAttribute(key, value);
        if (!this.isStacked) stroke.setAttribute("stroke-dasharray", DASHES[Math.floor(at / 2) % DASHES.length].join(" "));
        swatch.append(stroke);
        const value = index === null ? values.findLast((one) => one !== null) ?? null : values[index];
        const said = document.createElement("b");
        said.textContent = value === null || value === undefined ? "–" : this.format(value);
        const called = document.createElement("span");
        called.textContent = name;
        row.append(swatch, " ", called, " ", said);
        return row;
      }),
    );
  }

  // Other colours, another size, or the wall: all that is taken from the page is taken anew.
  redress() {
    if (!this.chart || !this.box.isConnected) return;
    this.names = "";
    this.show({ at: this.at, lines: this.lines }, this.marks);
  }

  destroy() {
    this.chart?.destroy();
    this.chart = null;
  }
}
