// Brings the page to life: asks who we are, draws what the server drew already, and listens.

import { ask, page, token } from "./api.js";
import { audience } from "./audience.js";
import { door } from "./door.js";
import { clockIs } from "./draw.js";
import { events } from "./events.js";
import { lists } from "./lists.js";
import { begin } from "./live.js";
import { plots } from "./plots.js";
import { known, say } from "./store.js";
import { summary } from "./summary.js";
import { why } from "./why.js";
import { world } from "./world.js";

// The server drew the page for somebody without a token; with one there is more to see.
async function asOurselves() {
  const drawn = await page();
  for (const part of ["main", "footer"]) document.querySelector(part).replaceWith(drawn.querySelector(part));
  document.documentElement.dataset.view = drawn.documentElement.dataset.view;
  known.view = drawn.documentElement.dataset.view;
}

async function start() {
  if (token.get()) {
    const known_to_node = await ask("/api/v1/board").catch((wrong) => wrong.status !== 401);
    if (!known_to_node) token.set(""); // the tokens were changed; whoever it was has to sign in again
    else await asOurselves();
  }
  door();
  if (known.view === "locked") return;
  const me = await ask("/api/v1/board");
  Object.assign(known, { summary: me.summary, may: new Set(me.may), you: me.you });
  clockIs(me.at);
  summary();
  lists();
  if (known.view === "full") {
    world();
    events();
    why();
    plots();
    audience();
  }
  say("me");
  begin();
}

void start();
