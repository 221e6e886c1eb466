// The page: it follows the node, shows what it says, and asks it for changes.

import { el, render } from "./dom.js";
import { Chart } from "./chart.js";
import { change, follow, needsToken, Refused, token } from "./feed.js";
import { node, timeline } from "./past.js";
import { pair, verdict } from "./pair.js";
import { listeners, pools, Rates } from "./traffic.js";
import { age, clock, rate, seconds } from "./words.js";

const PATIENCE = 4000; // ms without a snapshot
const RETRY = 2000; // ms until the node is asked again
const SAMPLES = 300;

const $ = (id) => document.getElementById(id);

const rates = new Rates();
let latest = null; // the newest snapshot
let heard = 0; // when it came, by this host's clock
let lost = ""; // why there is no connection; empty: there is one
let samples = [];
let whole = false; // the timeline is shown in full

const charts = [
  new Chart($("chart-requests"), {
    title: "Requests a second", floor: 1, format: rate,
    lines: [
      { key: "requests", name: "requests", kind: "area", value: (s) => s.requests },
      { key: "errors", name: "errors", kind: "bar", value: (s) => s.errors },
    ],
  }),
  new Chart($("chart-latency"), {
    title: "Response time", floor: 0.001, format: seconds,
    lines: [
      { key: "p99", name: "p99", kind: "dash", value: (s) => s.p99 },
      { key: "p50", name: "p50", kind: "line", value: (s) => s.p50 },
    ],
  }),
];

function show() {
  const now = Date.parse(latest.at);
  const s = latest.status;
  $("name").textContent = s.node || "";
  document.title = `${lost ? "Lost" : latest.verdict.headline}${s.node ? ` · ${s.node}` : ""} · Tandem`;
  verdict($("verdict"), latest);
  pair($("pair"), latest, now);
  pools($("pools"), latest, rates, now);
  listeners($("listeners"), latest, rates);
  timeline($("timeline"), latest, whole);
  node($("node"), latest, now);
  for (const c of charts) c.show(samples);
}

function add(sample) {
  if (!sample) return;
  // The node's clock may have been set back.
  const at = Date.parse(sample.at);
  samples = samples.filter((s) => Date.parse(s.at) < at);
  samples.push(sample);
  if (samples.length > SAMPLES) samples = samples.slice(-SAMPLES);
}

function on(event, data) {
  if (event === "history") {
    samples = [];
    for (const sample of data || []) add(sample);
    return;
  }
  if (event !== "snapshot" || !data) return;
  latest = data;
  heard = Date.now();
  lost = "";
  add(data.sample);
  rates.take(data);
  $("ask").hidden = true;
  $("status").hidden = false;
  connection();
  show();
}

// connection says whether what is shown is of now.
function connection() {
  document.body.classList.toggle("is-lost", Boolean(lost && latest));
  $("link").dataset.state = lost ? "lost" : latest ? "live" : "wait";
  const text = lost ? "No connection" : latest ? "Live" : "Connecting";
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
  $("forget").hidden = !token.get();
  $("lost").hidden = !lost;
  if (!lost) return;
  const name = latest && latest.status.node ? latest.status.node : "this node";
  render($("lost"), el("p", null,
    el("b", null, latest ? `No word from ${name} for ${age(Date.now() - heard)}.` : `${name} cannot be reached.`), " ",
    latest ? `What you see is from ${clock(heard)}. ` : "", `It is asked again and again (${lost}).`), elsewhere());
  if (latest) document.title = `Lost · ${name} · Tandem`;
}

// elsewhere points to the other node, which may know what became of this one.
function elsewhere() {
  const peer = latest && latest.status.peers[0];
  if (!peer) return null;
  const host = peer.address.includes(":") ? `[${peer.address}]` : peer.address;
  const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  return el("p", null, "That says nothing of the VIP. Look at ", here ? el("b", null, `${peer.name} (${peer.address})`)
    : el("a", { href: `${location.protocol}//${host}:${location.port}/`, rel: "noreferrer" }, peer.name), ".");
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
let asked = null; // resolves when a token was given

async function run() {
  if (!token.get() && await needsToken()) await askToken(null);
  for (;;) {
    try {
      await follow(on, PATIENCE);
    } catch (e) {
      if (e instanceof Refused && e.status === 401) {
        await askToken(e);
        continue;
      }
      lost = e.name === "AbortError" ? "it does not answer" : e instanceof Refused ? e.message : "the connection failed";
      connection();
      await pause(RETRY);
    }
  }
}

// askToken waits until a token is given; e is why the one before was refused.
function askToken(e) {
  $("ask").hidden = false;
  $("status").hidden = true;
  $("ask-error").hidden = !e;
  $("ask-error").textContent = e ? e.message : "";
  token.set("");
  latest = null;
  lost = "";
  connection();
  $("link-text").textContent = "Locked";
  $("token").value = "";
  $("token").focus();
  return new Promise((done) => { asked = done; });
}

$("ask").addEventListener("submit", (e) => {
  e.preventDefault();
  token.set($("token").value.trim());
  $("token").value = "";
  $("ask").hidden = true;
  connection();
  if (asked) asked();
});

$("forget").addEventListener("click", () => {
  token.set("");
  location.reload();
});

// What each change means, in the words of the confirmation.
const changes = {
  drain: ["Drain", "It gets no new work, but from clients that stick to it. What it has in progress may go on."],
  maint: ["Take out", "It gets no work at all and is not checked. What it has in progress may go on."],
  ready: ["Bring back", "It takes its share of new work again, as soon as its check passes."],
};

let wish = null;

document.addEventListener("click", (e) => {
  const button = e.target.closest("button");
  if (!button) return;
  if (button.id === "whole") {
    whole = !whole;
    show();
    return;
  }
  const { verb, pool, server } = button.dataset;
  if (!verb || button.getAttribute("aria-pressed") === "true") return;
  const [word, text] = changes[verb];
  const peers = latest.status.peers.map((p) => p.name).join(", ");
  wish = { pool, server, verb };
  $("confirm-title").textContent = `${word} ${server}?`;
  $("confirm-text").textContent = `Pool ${pool}${latest.status.node ? `, on ${latest.status.node} alone` : ""}. ${text}${peers ? ` Repeat it on ${peers}, if it is to last through a failover.` : ""}`;
  $("confirm-yes").textContent = word;
  $("confirm-yes").disabled = false;
  $("confirm-error").hidden = true;
  $("confirm").showModal();
});

$("confirm-no").addEventListener("click", () => $("confirm").close());

$("confirm-yes").addEventListener("click", async () => {
  $("confirm-yes").disabled = true;
  try {
    await change(wish);
    $("confirm").close();
  } catch (e) {
    $("confirm-error").textContent = e instanceof Refused ? e.message : `The node could not be asked: ${e.message}`;
    $("confirm-error").hidden = false;
    $("confirm-yes").disabled = false;
  }
});

setInterval(() => { if (lost) connection(); }, 1000);
connection();
run();
