// Charts of the last minutes, drawn as SVG.

import { el, svg, render } from "./dom.js";
import { clock } from "./words.js";

const SPAN = 300; // seconds
const EDGE = { top: 10, right: 8, bottom: 22, left: 54 };

// nice returns a round number at or above n, whose half is round as well.
export function nice(n) {
  if (!(n > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  for (const step of [1, 2, 3, 4, 6, 8, 10]) {
    if (n <= step * power * (1 + 1e-9)) return step * power;
  }
  return 10 * power;
}

// Chart draws into a figure. Its lines are {key, name, kind, value}, where kind is
// area, line, dash or bar, and value gives the number of a sample, or null.
export class Chart {
  constructor(figure, { title, lines, format, floor }) {
    Object.assign(this, { figure, title, lines, format, floor });
    this.samples = [];
    this.at = null; // where a pointer is, in samples from the end
    this.head = el("figcaption", { class: "chart-head" });
    this.plot = svg("svg", { class: "plot", role: "img" });
    render(figure, this.head, this.plot);
    new ResizeObserver(() => this.draw()).observe(this.plot);
    this.plot.addEventListener("pointermove", (e) => this.point(e));
    this.plot.addEventListener("pointerleave", () => this.point(null));
  }

  show(samples) {
    this.samples = samples;
    this.draw();
  }

  point(e) {
    this.at = e ? e.clientX - this.plot.getBoundingClientRect().left : null;
    this.draw();
  }

  draw() {
    const width = this.plot.clientWidth;
    const height = this.plot.clientHeight;
    if (!width || !height) return;
    const inner = { w: width - EDGE.left - EDGE.right, h: height - EDGE.top - EDGE.bottom };
    const end = this.samples.length ? Date.parse(this.samples.at(-1).at) : 0;
    const points = this.samples.map((s) => ({ s, x: EDGE.left + inner.w * (1 + (Date.parse(s.at) - end) / (SPAN * 1000)) })).filter((p) => p.x >= EDGE.left - 1);
    let most = this.floor;
    for (const { s } of points) for (const l of this.lines) most = Math.max(most, l.value(s) ?? 0);
    const top = nice(most);
    const y = (v) => EDGE.top + inner.h * (1 - Math.min(v, top) / top);

    this.plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.plot.setAttribute("aria-label", this.describe());
    const chosen = this.choose(points);
    render(this.plot,
      this.grid(top, y, width, height, inner),
      points.length ? this.lines.map((l) => this.line(l, points, y, y(0))) : null,
      points.length ? null : svg("text", { class: "axis", x: width / 2, y: height / 2, "text-anchor": "middle" }, "nothing was measured yet"),
      chosen ? svg("line", { class: "cross", x1: chosen.x, x2: chosen.x, y1: EDGE.top, y2: EDGE.top + inner.h }) : null);
    this.caption(chosen);
  }

  choose(points) {
    if (this.at === null || !points.length) return null;
    return points.reduce((a, b) => (Math.abs(b.x - this.at) < Math.abs(a.x - this.at) ? b : a));
  }

  grid(top, y, width, height, inner) {
    const marks = [0, 0.5, 1].map((share) => [
      svg("line", { class: share ? "grid" : "base", x1: EDGE.left, x2: width - EDGE.right, y1: y(top * share), y2: y(top * share) }),
      svg("text", { class: "axis", x: EDGE.left - 8, y: y(top * share) + 4, "text-anchor": "end" }, this.format(top * share)),
    ]);
    const minutes = inner.w < 300 ? [5, 3, 1] : [5, 4, 3, 2, 1];
    const times = minutes.map((m) => svg("text", {
      class: "axis", x: EDGE.left + inner.w * (1 - m * 60 / SPAN), y: height - 5, "text-anchor": m === 5 ? "start" : "middle",
    }, `−${m} min`));
    return [marks, times, svg("text", { class: "axis", x: width - EDGE.right, y: height - 5, "text-anchor": "end" }, "now")];
  }

  line(l, points, y, base) {
    if (l.kind === "bar") {
      const bars = points.filter(({ s }) => l.value(s) > 0)
        .map(({ s, x }) => `M${x.toFixed(1)} ${base}V${Math.min(y(l.value(s)), base - 3).toFixed(1)}`);
      return svg("path", { class: `series ${l.key}`, d: bars.join("") || "M0 0" });
    }
    let path = "";
    let open = false;
    let first = null;
    let last = null;
    let before = 0;
    for (const { s, x } of points) {
      const v = l.value(s);
      const at = Date.parse(s.at);
      if (at - before > 4000) open = false; // nothing was measured in between
      before = at;
      if (v === null || v === undefined) {
        open = false;
        continue;
      }
      path += `${open ? "L" : "M"}${x.toFixed(1)} ${y(v).toFixed(1)}`;
      open = true;
      first ??= x;
      last = x;
    }
    const stroke = svg("path", { class: `series ${l.key} ${l.kind}`, d: path || "M0 0" });
    if (l.kind !== "area" || first === null) return stroke;
    return [svg("path", { class: `under ${l.key}`, d: `${path}L${last.toFixed(1)} ${base}L${first.toFixed(1)} ${base}Z` }), stroke];
  }

  // caption says what is now, or was where the pointer is.
  caption(chosen) {
    const s = chosen ? chosen.s : this.samples.at(-1);
    render(this.head,
      el("span", { class: "chart-title" }, this.title, chosen ? el("span", { class: "chart-when" }, ` at ${clock(chosen.s.at)}`) : null),
      el("span", { class: "legend" }, this.lines.map((l) => el("span", { class: "legend-item" },
        el("span", { class: `swatch ${l.key}`, "aria-hidden": "true" }),
        el("span", { class: "legend-name" }, l.name),
        el("b", { class: "legend-value", id: `${this.figure.id}-${l.key}` }, s ? this.format(l.value(s)) : "–")))));
  }

  describe() {
    const parts = this.lines.map((l) => {
      const all = this.samples.map(l.value).filter((v) => v !== null && v !== undefined);
      if (!all.length) return `${l.name}: none`;
      return `${l.name}: now ${this.format(all.at(-1))}, at most ${this.format(Math.max(...all))}`;
    });
    return `${this.title} over the last five minutes. ${parts.join("; ")}.`;
  }
}
