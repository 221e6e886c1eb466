// What is served, by whom: listeners, pools and their servers.

import { el, render } from "./dom.js";
import { state, table } from "./parts.js";
import { age, between, bytes, count, rate } from "./words.js";

// rates of things that are counted, between one snapshot and the one before.
export class Rates {
  constructor() {
    this.before = null;
    this.now = null;
  }

  // take remembers the counters of a snapshot.
  take(snapshot) {
    const all = new Map();
    for (const l of snapshot.status.listeners) {
      all.set(`l ${l.name}`, l.protocol === "http" ? l.requests : l.accepted);
    }
    for (const p of snapshot.status.pools) for (const s of p.servers) all.set(`s ${p.name} ${s.name}`, s.served);
    this.before = this.now;
    this.now = { at: Date.parse(snapshot.at), all };
  }

  // of returns what was counted in a second; null while that is not known.
  of(name) {
    if (!this.before || !this.before.all.has(name) || !this.now.all.has(name)) return null;
    const passed = (this.now.at - this.before.at) / 1000;
    const more = this.now.all.get(name) - this.before.all.get(name);
    return passed > 0 && passed < 30 && more >= 0 ? more / passed : null;
  }
}

const perSecond = (n) => (n === null ? "–" : `${rate(n)}/s`);

// health says how a server is, in a word and with a reason where it is not well.
function health(s, now) {
  const until = s.ejected && s.ejected.until ? Date.parse(s.ejected.until) : 0;
  if (s.health === "down") return [state("alarm", `down for ${age(between(s.since, now))}`), why(s.reason)];
  if (until > now) return [state("warn", `set aside for ${age(until - now)} more`), why(s.ejected.reason)];
  if (s.breaker && (s.breaker.state === "open" || s.breaker.state === "half-open")) {
    return [state("warn", `breaker ${s.breaker.state}`), why(`${s.breaker.failed} of ${s.breaker.requests} failed`)];
  }
  if (s.health === "up") return state("ok", `up for ${age(between(s.since, now))}`);
  return state("off", s.checked ? "not known yet" : "not checked");
}

const why = (text) => (text ? el("span", { class: "line soft" }, text) : null);

const verbs = [["ready", "Ready"], ["drain", "Drain"], ["maint", "Maint"]];

// choice is how a server's state is seen and changed.
function choice(pool, s, readOnly) {
  const name = { ready: "ready", drain: "drained", maint: "in maintenance" }[s.share.state] || s.share.state;
  if (readOnly) return state(s.share.state === "ready" ? "ok" : "off", name);
  return el("div", { class: "choice", role: "group", "aria-label": `${s.name} of ${pool.name} is ${name}` }, verbs.map(([verb, text]) =>
    el("button", { type: "button", class: `choice-${verb}`, "aria-pressed": s.share.state === verb ? "true" : "false", "data-verb": verb, "data-pool": pool.name, "data-server": s.name }, text)));
}

function notes(s) {
  const all = [];
  if (s.share.backup) all.push("backup");
  if (s.share.weight !== 1) all.push(`weight ${Number(s.share.weight.toFixed(2))}`);
  if (s.address !== s.name) all.push(s.address);
  if (s.host) all.push(s.host);
  return all.join(", ");
}

function server(p, s, rates, snapshot, now) {
  const held = s.share.state !== "ready";
  return { key: `server-${p.name}-${s.address}-${s.name}`, class: held ? "held" : null, cells: [
    [el("b", { class: "server-name" }, s.name), notes(s) ? el("span", { class: "line soft" }, notes(s)) : null],
    health(s, now),
    [count(s.active), s.share.most ? el("span", { class: "soft" }, ` of ${count(s.share.most)}`) : null],
    perSecond(rates.of(`s ${p.name} ${s.name}`)),
    count(s.failed),
    choice(p, s, snapshot.readOnly),
  ] };
}

function usable(p, now) {
  return p.servers.filter((s) => s.share.state === "ready" && s.health !== "down" && !(s.ejected && Date.parse(s.ejected.until) > now)
    && !(s.breaker && s.breaker.state === "open")).length;
}

const serverColumns = [{ name: "Server" }, { name: "Health" }, { name: "In progress", number: true }, { name: "Served", number: true },
  { name: "Failed", number: true }, { name: "State", class: "actions" }];

function pool(p, rates, snapshot, now) {
  const able = usable(p, now);
  const level = !able ? "alarm" : able === p.servers.length ? "ok" : "warn";
  const work = p.servers.length ? `${able} of ${p.servers.length} take work` : "it has no server";
  const facts = [`${count(p.active)} in progress`];
  if (p.queueLength) facts.push(`${count(p.waiting)} of ${count(p.queueLength)} wait`);
  if (p.retries) facts.push(`${count(p.retries)} retries`);
  if (p.breaker && p.breaker.state && p.breaker.state !== "closed") facts.push(`breaker ${p.breaker.state}`);
  return el("article", { class: "card list pool", "data-key": `pool-${p.name}`, "aria-label": `Pool ${p.name}` },
    el("div", { class: "pool-head" }, el("h3", null, p.name), state(level, work), el("span", { class: "soft" }, facts.join(", "))),
    table(`Servers of ${p.name}`, serverColumns, p.servers.map((s) => server(p, s, rates, snapshot, now))));
}

export function pools(root, snapshot, rates, now) {
  const all = snapshot.status.pools;
  render(root,
    el("h2", { id: "pools-title" }, "Pools"),
    snapshot.readOnly && all.length ? el("p", { class: "hint" }, "To look at only: the config names no admin.token_file, so nothing can be changed here.") : null,
    all.length ? all.map((p) => pool(p, rates, snapshot, now)) : el("p", { class: "card pad soft" }, "No pool is served yet."));
}

function refused(l) {
  const all = Object.entries(l.refused || {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
  const sum = all.reduce((n, [, m]) => n + m, 0) + (l.shed || 0);
  if (!sum) return "0";
  return [count(sum), el("span", { class: "line soft" }, all.slice(0, 3).map(([why, n]) => `${why} ${count(n)}`).join(", "))];
}

export function listeners(root, snapshot, rates) {
  const columns = [{ name: "Listener" }, { name: "Address" }, { name: "To" }, { name: "Traffic", number: true }, { name: "Open", number: true },
    { name: "Failed", number: true }, { name: "Refused", number: true }];
  const rows = snapshot.status.listeners.map((l) => ({ key: `listener-${l.name}`, cells: [
    [el("b", null, l.name), el("span", { class: "line soft" }, l.protocol)],
    l.bind.map((b) => el("code", { class: "line" }, b)),
    l.pool,
    perSecond(rates.of(`l ${l.name}`)),
    count(l.connections),
    count(l.failed),
    refused(l),
  ] }));
  render(root, el("h2", { id: "listeners-title" }, "Listeners"), el("div", { class: "card list" }, table("Listeners", columns, rows)));
}

// share writes how much of a limit is used.
export function share(used, limit, write) {
  if (!limit) return write(used || 0);
  return `${write(used || 0)} of ${write(limit)} (${Math.round((used || 0) / limit * 100)} %)`;
}

export const memory = (o) => share(o.memory, o.memoryLimit, bytes);
export const descriptors = (o) => share(o.descriptors, o.descriptorLimit, count);
