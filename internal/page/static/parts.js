// Small parts that several views are made of.

import { el, svg } from "./dom.js";

// Shapes, so that no meaning is in a colour alone.
const shapes = {
  ok: () => [svg("circle", { cx: 12, cy: 12, r: 10 }), svg("path", { class: "inner", d: "M7.5 12.4l3 3 6-6.4" })],
  note: () => [svg("circle", { cx: 12, cy: 12, r: 10 }), svg("path", { class: "inner", d: "M12 11v6M12 7.2v.3" })],
  warn: () => [svg("path", { d: "M12 2.8 22.3 20.6H1.7Z" }), svg("path", { class: "inner", d: "M12 9.5v5M12 17.4v.3" })],
  alarm: () => [svg("path", { d: "M7.9 2h8.2L22 7.9v8.2L16.1 22H7.9L2 16.1V7.9Z" }), svg("path", { class: "inner", d: "M12 7v6.2M12 16.6v.3" })],
  off: () => [svg("circle", { cx: 12, cy: 12, r: 10 }), svg("path", { class: "inner", d: "M7.5 12h9" })],
};

// shape returns the sign of a level.
export function shape(level) {
  return svg("svg", { class: `shape shape-${level}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, shapes[level]());
}

// state returns a sign with its word.
export function state(level, word) {
  return el("span", { class: `state state-${level}` }, shape(level), word);
}

// facts returns a list of names and values; a row without value is left out.
export function facts(rows) {
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) =>
    el("div", { class: "fact" }, el("dt", null, name), el("dd", null, value))));
}

// table returns a table whose cells know their columns, for narrow screens.
export function table(label, columns, rows) {
  return el("table", { "aria-label": label },
    el("thead", null, el("tr", null, columns.map((c) => el("th", { scope: "col", class: c.number ? "number" : c.class }, c.name)))),
    el("tbody", null, rows.map((r) => el("tr", { "data-key": r.key, class: r.class }, r.cells.map((cell, i) =>
      el(i ? "td" : "th", { scope: i ? null : "row", class: columns[i].number ? "number" : columns[i].class, "data-label": columns[i].name }, cell))))));
}
