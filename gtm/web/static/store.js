// What we know of the node, in one place; whoever draws a part of it asks to be told.

export const known = {
  view: document.documentElement.dataset.view,
  summary: null,
  may: new Set(),
  you: "",
  link: { state: "connecting", since: Date.now() / 1000 },
};

const listeners = new Map();

export function on(topic, tell) {
  listeners.set(topic, [...(listeners.get(topic) ?? []), tell]);
}

export function say(topic, news) {
  for (const tell of listeners.get(topic) ?? []) tell(news);
}

export const mayOperate = () => known.may.has("operate");
export const mayRead = () => known.may.has("read");
