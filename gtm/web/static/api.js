// Requests to this node, with the token of whoever signed in. The token is sent as a header and never as a cookie, so
// no other site's page can borrow it; it lives as long as this tab does.

const KEY = "gtm-token";

export class Refused extends Error {
  constructor(status, body) {
    const said = body?.error ?? {};
    super(said.message || `the node answered ${status}`);
    this.status = status;
    this.code = said.code ?? "";
    this.hint = said.hint ?? "";
    this.body = body ?? {};
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

const head = () => (token.get() ? { Authorization: `Bearer ${token.get()}` } : {});

export async function ask(path, { method = "GET", body, signal } = {}) {
  const response = await fetch(path, {
    method,
    signal,
    headers: { Accept: "application/json", ...head(), ...(body ? { "Content-Type": "application/json" } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const found = await response.json().catch(() => null);
  if (!response.ok) throw new Refused(response.status, found);
  return found;
}

export const query = (words) => {
  const kept = Object.entries(words).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return kept.length ? `?${new URLSearchParams(kept)}` : "";
};

// The page as the server draws it for who we are now.
export async function page() {
  const response = await fetch("/", { headers: head(), cache: "no-store" });
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// Server-sent events by fetch, since an EventSource cannot send a token. Yields {id, event, data}.
export async function* messages(path, { last = "", signal } = {}) {
  const headers = { Accept: "text/event-stream", ...head(), ...(last ? { "Last-Event-ID": last } : {}) };
  const response = await fetch(path, { headers, signal, cache: "no-store" });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => null));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (waiting + value).split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) {
      const message = {};
      for (const line of block.split("\n")) {
        const at = line.indexOf(": ");
        if (at > 0) message[line.slice(0, at)] = line.slice(at + 2);
      }
      if (message.data) yield { ...message, data: JSON.parse(message.data) };
    }
  }
}
