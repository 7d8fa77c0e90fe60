// What the program tells by itself: somebody changed something, or images were added.

import { after } from "./base.js";
import { isTrouble, live, refresh, tell } from "./live.js";
import { connected } from "./say.js";

const AGAIN = 2000; // milliseconds until a connection that the browser gave up is tried again
const stream = { source: null, told: -1 };

// While images come in one by one, not for each of them
const refreshSoon = after(120, () => {
  refresh().catch((error) => {
    if (!isTrouble(error)) throw error;
    connected(false);
  });
});

// What this page did itself comes with the answer to that
const follow = after(120, () => stream.told !== live.version && refreshSoon());

function progressed(event) {
  const { done, total, run } = JSON.parse(event.data);
  if (run !== live.state.run) refreshSoon();
  Object.assign(live.state, { done, total });
  tell();
}

function lost() {
  connected(false);
  if (stream.source.readyState === EventSource.CLOSED) setTimeout(open, AGAIN);
}

function open() {
  if (stream.source !== null && stream.source.readyState !== EventSource.CLOSED) return;
  stream.source = new EventSource("/api/stream");
  stream.source.addEventListener("open", () => {
    connected(true);
    refreshSoon();
  });
  stream.source.addEventListener("state", (event) => {
    stream.told = JSON.parse(event.data).version;
    if (stream.told !== live.version) follow();
  });
  stream.source.addEventListener("progress", progressed);
  stream.source.addEventListener("error", lost);
}

// A page that nobody sees takes no connection: a browser has few with one program
export function startStream() {
  open();
  document.addEventListener("visibilitychange", () => (document.hidden ? stream.source.close() : open()));
}
