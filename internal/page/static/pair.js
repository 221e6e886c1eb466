// Who is active, and why: the verdict, the two nodes, and the VIPs.

import { el, render } from "./dom.js";
import { facts, shape, state, table } from "./parts.js";
import { age, between, capital } from "./words.js";

const levels = { ok: "All is well", note: "To know", warn: "Warning", alarm: "Alarm" };

export function verdict(root, s) {
  const v = s.verdict;
  render(root, el("div", { class: `card verdict verdict-${v.level}` },
    el("div", { class: "verdict-head" },
      shape(v.level === "note" ? "ok" : v.level),
      el("div", null, el("h1", { id: "headline" }, v.headline), v.lines.map((l) => el("p", { class: "verdict-line" }, l)))),
    v.points.length ? el("ul", { class: "points" }, v.points.map((p) => el("li", { class: `point point-${p.level}` },
      shape(p.level), el("span", { class: "hidden" }, `${levels[p.level]}: `), el("b", null, p.subject), el("span", { class: "point-text" }, p.text)))) : null));
}

// roleOf says what a node is for the VIPs: the best of its roles, and for which.
function roleOf(roles) {
  const names = Object.keys(roles);
  const active = names.filter((n) => roles[n] === "active");
  if (active.length) return { role: "active", text: "Active", sub: active.length < names.length ? `for ${active.join(", ")}` : "" };
  if (names.some((n) => roles[n] === "backup")) return { role: "backup", text: "Backup", sub: "" };
  return { role: "none", text: names.length ? "Out of the election" : "No role known", sub: "" };
}

function badge(r) {
  return el("span", { class: `badge badge-${r.role}` }, el("span", { class: "badge-sign", "aria-hidden": "true" }), r.text, r.sub ? el("span", { class: "badge-sub" }, ` ${r.sub}`) : null);
}

// fitness says whether a node may lead.
function fitness(n) {
  if (n.demoted) return state("warn", `stands back: ${n.unfit}`);
  return n.fit ? state("ok", "fit") : state("alarm", `not fit: ${n.unfit || "it has not said why"}`);
}

// reasons of a node's roles, one for each that differs.
function reasons(vips, now) {
  const seen = new Map();
  for (const v of vips) {
    const text = v.reason;
    if (!seen.has(text)) seen.set(text, { names: [], since: v.since });
    seen.get(text).names.push(v.name);
  }
  return [...seen].slice(0, 3).map(([text, { names, since }]) => el("p", { class: "why" },
    seen.size > 1 ? el("b", null, `${names.join(", ")}: `) : null,
    between(since, now) ? el("span", { class: "soft" }, `For ${age(between(since, now))}: `) : null, text));
}

function arithmetic(v, s) {
  if (s.demoted) return `${v.priority}, stands back`;
  if (v.lowered) return `${v.basePriority} − ${v.lowered.by} (${v.lowered.reason}) = ${v.priority}`;
  return v.priority === v.basePriority ? String(v.priority) : `${v.priority}, configured ${v.basePriority}`;
}

// each lists what differs from VIP to VIP, once where it does not.
function each(vips, of) {
  const all = [...new Set(vips.map(of))];
  if (all.length <= 1) return all[0];
  return vips.slice(0, 4).map((v) => el("span", { class: "line" }, `${v.name}: ${of(v)}`));
}

function own(s, now) {
  const backups = s.vips.filter((v) => v.role === "backup" && v.downIntervalNanos);
  const roles = Object.fromEntries(s.vips.map((v) => [v.name, v.role]));
  const r = s.vips.length ? roleOf(roles) : { role: "none", text: "Plain proxy", sub: "" };
  return el("article", { class: `card nodecard nodecard-${r.role}`, "data-key": "own", "aria-label": `Node ${s.node || "without a name"}, this one` },
    el("div", { class: "node-head" }, el("h3", null, s.node || "This node"), s.node ? el("span", { class: "tag" }, "this node") : null, badge(r)),
    s.vips.length ? reasons(s.vips, now) : el("p", { class: "why" }, "It has no VIP, and takes part in no election."),
    facts([
      ["Priority", s.vips.length ? each(s.vips, (v) => arithmetic(v, s)) : null],
      ["Takes over", backups.length ? each(backups, (v) => `after ${Math.round(v.downIntervalNanos / 1e6)} ms of silence`) : null],
      ["Fitness", fitness(s)],
      ["Servers", s.servers ? `reaches ${s.reachable} of ${s.servers}` : null],
      ["Heartbeat", s.agent ? heartbeat(s.agent, now) : null],
      ["Config", el("code", null, s.config.hash)],
      ["Up", age(between(s.started, now))],
    ]));
}

function heartbeat(a, now) {
  if (!a.pid) return state("alarm", a.error || "not running");
  const late = `late by ${((a.latenessNanos || 0) / 1e6).toFixed(2)} ms at most`;
  if (a.slept && between(a.slept.at, now) < 600000) return state("warn", `${late}; asleep for ${Math.round(a.slept.forNanos / 1e6)} ms, ${age(between(a.slept.at, now))} ago`);
  return late;
}

function peer(p, s, now) {
  const heard = p.configHash || p.alive;
  const r = heard ? roleOf(p.roles || {}) : { role: "none", text: "Not heard yet", sub: "" };
  const gone = heard && !p.alive;
  const vips = s.vips.filter((v) => p.roles && p.roles[v.name]);
  const details = p.vips || {};
  const said = vips.filter((v) => details[v.name] && details[v.name].reason).map((v) => ({ name: v.name, ...details[v.name] }));
  return el("article", { class: `card nodecard nodecard-${gone ? "gone" : r.role}`, "data-key": `peer-${p.name}`, "aria-label": `Node ${p.name}, the peer` },
    el("div", { class: "node-head" }, el("h3", null, p.name), el("span", { class: "tag" }, p.address), badge(gone ? { role: "gone", text: "Silent", sub: r.role === "none" ? "" : `was ${r.role}` } : r)),
    p.verdict ? el("p", { class: "why" }, `${capital(p.explained)}`, el("span", { class: "soft" }, `, for ${age(between(p.verdictSince, now))}`)) : null,
    !p.verdict && said.length ? reasons(said, now) : null,
    !p.verdict && !said.length ? el("p", { class: "why" }, seenBy(vips, p)) : null,
    facts([
      ["Priority", vips.length ? [each(vips, (v) => String(p.priorities[v.name])), gone ? el("span", { class: "soft" }, " when it was heard last") : null] : null],
      ["Fitness", heard && !gone ? fitness(p) : null],
      ["Servers", p.servers && !gone ? `reaches ${p.reachable} of ${p.servers}` : null],
      ["Heartbeat", p.slept && between(p.slept.at, now) < 600000 ? state("warn", `asleep for ${Math.round(p.slept.forNanos / 1e6)} ms, ${age(between(p.slept.at, now))} ago`) : null],
      ["Config", p.configHash ? [el("code", null, p.configHash), p.drift ? state("warn", "differs") : el("span", { class: "soft" }, " the same")] : null],
      ["Gossip", p.alive ? `alive for ${age(between(p.since, now))}` : state("warn", heard ? `silent for ${age(between(p.since, now))}` : p.error || "not heard yet")],
    ]));
}

// seenBy says of a peer what this node hears of it by VRRP.
function seenBy(vips, p) {
  const heard = vips.flatMap((v) => v.speakers || []).find((k) => k.node === p.name && k.heard);
  if (heard) return `Advertises with priority ${heard.priority}, every ${heard.intervalNanos / 1e6} ms.`;
  return p.alive ? "Stands by, and says so by gossip." : "Nothing is heard of it.";
}

const cuts = { cut: "cut", gossip_cut: "gossip is cut" };

// tie shows whether the nodes hear each other.
function tie(s) {
  const p = s.peers[0];
  const alive = p.alive && !p.verdict;
  return el("div", { class: `tie ${alive ? "" : "tie-cut"}`, "data-key": "tie" }, el("span", { class: "tie-line", "aria-hidden": "true" }),
    el("span", { class: "tie-text" }, alive ? "hear each other" : cuts[p.verdict] || "silent"), el("span", { class: "tie-line", "aria-hidden": "true" }));
}

export function pair(root, snapshot, now) {
  const s = snapshot.status;
  render(root,
    el("h2", { id: "pair-title" }, s.peers.length ? "The pair" : "The node"),
    el("div", { class: s.peers.length ? "pair" : "pair pair-one", "data-key": "pair" }, own(s, now), s.peers.length ? tie(s) : null, s.peers.map((p) => peer(p, s, now))),
    s.vips.length ? vips(s, now) : null);
}

function holder(v, s) {
  if (v.role === "active") return s.node;
  const p = s.peers.find((q) => q.alive && q.roles && q.roles[v.name] === "active");
  if (p) return p.name;
  return v.role === "backup" ? v.active : "";
}

function vips(s, now) {
  const columns = [{ name: "VIP" }, { name: "Addresses" }, { name: "Held by" }, { name: "Priorities" }, { name: "This node" }];
  const rows = s.vips.map((v) => {
    const by = holder(v, s);
    const others = s.peers.filter((p) => p.priorities && p.priorities[v.name]).map((p) => `${p.name} ${p.priorities[v.name]}`);
    const level = v.error ? "alarm" : by ? "ok" : "alarm";
    return { key: `vip-${v.name}`, cells: [
      el("b", null, v.name),
      v.addresses.map((a) => el("code", { class: "line" }, a)),
      state(level, v.error || by || "nobody"),
      [`${s.node} ${arithmetic(v, s)}`, others.map((o) => el("span", { class: "line soft" }, o))],
      [`${v.role} for ${age(between(v.since, now))}`, el("span", { class: "line soft" }, `router ${v.routerId} on ${v.interface}`)],
    ] };
  });
  return el("div", { class: "card list", "data-key": "vips" }, table("Virtual addresses", columns, rows));
}
