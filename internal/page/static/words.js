// Numbers and times as a person reads them.

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// count writes a whole number, in groups of three.
export const count = (n) => plain.format(n || 0).replaceAll(",", "\u202f");

// rate writes how often something happens in a second.
export function rate(n) {
  if (!n) return "0";
  return n < 10 ? n.toFixed(1) : count(n);
}

// seconds writes a duration that a request may take.
export function seconds(s) {
  if (s === undefined || s === null) return "–";
  if (s === 0) return "0 ms";
  if (s < 0.001) return `${Math.round(s * 1e6)} µs`;
  if (s < 0.01) return `${(s * 1e3).toFixed(1)} ms`;
  if (s < 1) return `${Math.round(s * 1e3)} ms`;
  return `${s.toFixed(s < 10 ? 1 : 0)} s`;
}

// age writes for how long something has lasted, from milliseconds.
export function age(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 24) return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
  const d = Math.floor(h / 24);
  return h % 24 && d < 7 ? `${d} d ${h % 24} h` : `${d} d`;
}

// between returns the milliseconds from a time that the node wrote to now; 0 for none.
export function between(from, now) {
  const t = Date.parse(from);
  return Number.isNaN(t) || t < 0 ? 0 : now - t;
}

// bytes writes a size.
export function bytes(n) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (n >= size) return `${(n / size).toFixed(n < 10 * size ? 1 : 0)} ${unit}`;
  }
  return `${count(n)} B`;
}

const two = (n) => String(n).padStart(2, "0");

// clock writes the time of day, here.
export function clock(text) {
  const t = new Date(text);
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

// day writes the date, here.
export function day(text) {
  return new Date(text).toLocaleDateString(undefined, { weekday: "short", day: "numeric", month: "short" });
}

// capital writes a text that begins a sentence.
export const capital = (s) => (s ? s[0].toUpperCase() + s.slice(1) : "");
