// The feed: server-sent events, read by fetch, which can send the token along.

const TOKEN = "tandem-token";

export const token = {
  get: () => sessionStorage.getItem(TOKEN) || "",
  set: (t) => (t ? sessionStorage.setItem(TOKEN, t) : sessionStorage.removeItem(TOKEN)),
};

function headers(more) {
  const t = token.get();
  return t ? { ...more, Authorization: `Bearer ${t}` } : { ...more };
}

// Refused is an answer of the node that is not what was asked for.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function refusal(response) {
  let message = `the node answered ${response.status}`;
  try {
    message = (await response.json()).error || message;
  } catch {
    // It is no answer of the node's own.
  }
  return new Refused(response.status, message);
}

// follow calls on(event, data) for each event until the feed ends, which is always
// with an error. It gives up when nothing has come for a while.
export async function follow(on, patience) {
  const abort = new AbortController();
  let timer = setTimeout(() => abort.abort(), patience);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), patience);
  };
  try {
    const response = await fetch("/v1/feed", { headers: headers(), signal: abort.signal, cache: "no-store" });
    if (!response.ok) throw await refusal(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Error("the node has closed the connection");
      alive();
      text += value;
      let end;
      while ((end = text.indexOf("\n\n")) >= 0) {
        dispatch(text.slice(0, end), on);
        text = text.slice(end + 2);
      }
    }
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

function dispatch(block, on) {
  let event = "message";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  on(event, JSON.parse(data));
}

// change asks the node to change a server.
export async function change(what) {
  const response = await fetch("/v1/server", {
    method: "POST",
    headers: headers({ "Content-Type": "application/json" }),
    body: JSON.stringify(what),
    cache: "no-store",
  });
  if (!response.ok) throw await refusal(response);
}

// needsToken reports whether the node says nothing without a token; when it cannot be
// asked, the feed will tell.
export async function needsToken() {
  try {
    const response = await fetch("/v1/access", { cache: "no-store" });
    return response.ok && (await response.json()).token;
  } catch {
    return false;
  }
}
