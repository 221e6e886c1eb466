// What happened, and what else there is to know of the node.

import { el, render } from "./dom.js";
import { facts, state } from "./parts.js";
import { descriptors, memory } from "./traffic.js";
import { age, between, clock, day } from "./words.js";

const few = 6;

// importance of kinds: of the first the eye should find the latest.
const big = new Set(["role", "verdict", "conflict"]);
const odd = new Set(["stall", "removal", "priority", "drift", "fitness"]);

function weight(e) {
  if (big.has(e.kind)) return "big";
  return odd.has(e.kind) ? "odd" : "small";
}

export function timeline(root, snapshot, whole) {
  const all = snapshot.events || [];
  const shown = whole ? all : all.slice(-few);
  const items = [];
  let date = null;
  const today = day(snapshot.at);
  for (const e of [...shown].reverse()) {
    const d = day(e.at);
    if (d !== (date ?? today)) items.push(el("li", { class: "date" }, d));
    date = d;
    items.push(el("li", { class: `event event-${weight(e)}` },
      el("time", { datetime: e.at }, clock(e.at)),
      el("span", { class: "event-dot", "aria-hidden": "true" }),
      el("div", { class: "event-body" },
        el("p", null, el("span", { class: "kind" }, e.kind), e.node && e.node !== snapshot.status.node ? el("span", { class: "tag" }, e.node) : null,
          e.subject ? el("b", null, e.subject) : null, el("span", null, e.what)),
        e.evidence ? el("p", { class: "soft evidence" }, e.evidence) : null)));
  }
  render(root,
    el("h2", { id: "timeline-title" }, "What happened"),
    el("div", { class: "card pad" },
      items.length ? el("ol", { class: "events" }, items) : el("p", { class: "soft" }, "Nothing yet."),
      all.length > few ? el("button", { type: "button", class: "plain", id: "whole", "aria-expanded": whole ? "true" : "false" }, whole ? "Show the newest only" : `Show all ${all.length}`) : null));
}

function process(p) {
  const text = p.pid ? `pid ${p.pid}` : "not running";
  const times = p.restarts ? `, restarted ${p.restarts} times` : "";
  return p.pid ? text + times : state("alarm", text + (p.error ? `: ${p.error}` : ""));
}

export function node(root, snapshot, now) {
  const s = snapshot.status;
  const o = s.overload;
  render(root,
    el("h2", { id: "node-title" }, "This node"),
    el("div", { class: "card pad details" },
      s.config.refused ? el("div", { class: "refused" }, state("warn", "The newest config was refused, the old one runs:"), el("pre", null, s.config.refused)) : null,
      facts([
        ["Config", [el("code", null, s.config.path), `, loaded ${age(between(s.config.loaded, now))} ago`]],
        ["Hash", el("code", null, s.config.hash)],
        ["Version", s.version],
        ["Up", age(between(s.started, now))],
        ["Worker", process(s.worker)],
        ["Agent", s.agent ? process(s.agent) : "none: there is no VIP"],
        ["Real time", s.agent ? s.agent.realtime : null],
        ["Death notice", s.agent ? s.agent.deathNotice : null],
        ["Load", o.reason ? state("alarm", `new work is turned away: ${o.reason}`) : "new work is taken"],
        ["Descriptors", descriptors(o)],
        ["Memory", memory(o)],
        ["Names", s.names ? s.names.map((n) => el("span", { class: "line" }, `${n.name}: `, n.error ? state("warn", n.error) : n.addresses.join(", "))) : null],
        ["Certificates", certificates(s, now)],
        ["Sessions", certificates(s, now) ? sessions(s.sessionTickets) : null],
        ["Events", s.timeline ? state("note", `not kept beyond this process: ${s.timeline}`) : null],
      ])));
}

// sessions says whether those of TLS survive a failover.
function sessions(t) {
  if (!t) return null;
  if (t.shared) return "survive a failover: the nodes share the keys of tickets";
  return t.unshared ? state("note", `do not survive a failover: ${t.unshared}`) : null;
}

function certificates(s, now) {
  const all = (s.certificates && s.certificates.list) || [];
  if (!all.length) return null;
  return all.map((c) => {
    const left = Date.parse(c.notAfter) - now;
    const level = left < 0 ? "alarm" : left < 30 * 864e5 ? "warn" : "ok";
    const text = left < 0 ? `expired ${age(-left)} ago` : `good for ${age(left)}`;
    return el("span", { class: "line" }, state(level, text), el("span", { class: "soft" }, ` ${(c.names || []).slice(0, 4).join(", ") || c.subject} (${c.listener || c.pool})`));
  });
}
