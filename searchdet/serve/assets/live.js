// What the page knows of the program: its state, its images, what changed last. Asked again when it changes.

import { get, Lost, Refused } from "./api.js";
import { numberOf } from "./classes.js";
import { shownImage } from "./shown.js";

const MOST_KEPT = 240; // images whose details are kept
const AT_ONCE = 3; // of six that a browser has with one program, one of them for the stream
const NOTHING = {
  version: -1, run: undefined, done: 0, total: 0, failed: [], classes: [], negatives: 0, exemplars: [], undo: null, redo: null,
  review: { judged: 0, left: 0, quiet: 0, stop: false }, second_pass: { on: false, exemplars: 0, gained: 0, lost: 0 }, command: "",
};
// images: rows of /api/images by number; changes: of the last step, by number { before, after } or null where counts
// are the same; current: the class that is worked on, null for negatives, undefined for none
export const live = { version: -1, state: NOTHING, images: [], changes: new Map(), current: undefined };

// Whether anything is searched for: a class has examples, or good parts say what is none of them
export const searches = () => live.state.classes.some((item) => item.min_score !== null);
export const classNames = () => live.state.classes.map((item) => item.name);
export const byName = (name) => live.images.find((row) => row && row.name === name);

const followers = [];
export const onLive = (call) => followers.push(call);
export const tell = () => followers.forEach((call) => call());

export function makeCurrent(label) {
  live.current = label;
  tell();
}

function pictureOfExemplar(name) {
  const known = live.state.exemplars.find((item) => item.name === name);
  return known ? known.picture : null;
}

const kept = new Map();
let running = 0;
const waiting = [];

async function taken(call, urgent) {
  if (running >= AT_ONCE) await new Promise((go) => (urgent ? waiting.unshift(go) : waiting.push(go)));
  running++;
  try {
    return await call();
  } finally {
    running--;
    if (waiting.length) waiting.shift()();
  }
}

// An image with its candidates and verdicts, as image.js has it. urgent: before all that wait
export function imageAt(i, urgent) {
  let found = kept.get(i);
  if (found === undefined) {
    found = taken(async () => shownImage(live.images[i], await get(`/api/images/${i}`), pictureOfExemplar), urgent);
    found.catch(() => kept.delete(i));
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value);
  } else kept.delete(i);
  kept.set(i, found);
  return found;
}

export const forget = (i) => kept.delete(i);

// The same with a candidate that is asked about: what was kept may be of before that was asked
export async function imageWith(i, row, urgent) {
  const image = await imageAt(i, urgent);
  if (row === null || row === undefined || image.id.includes(row)) return image;
  forget(i);
  return imageAt(i, urgent);
}

const differs = (a, b) => Object.keys({ ...a, ...b }).some((name) => (a[name] || 0) !== (b[name] || 0));

// Rows that are new or differ; what changed without this page's doing is seen by its counts
function takeRows(rows, own) {
  const changes = new Map();
  for (const row of rows) {
    const before = live.images[row.i];
    if (before && differs(before.counts, row.counts)) changes.set(row.i, { before: before.counts, after: row.counts });
    live.images[row.i] = row;
    forget(row.i);
  }
  if (!own && changes.size) live.changes = changes;
}

function takeState(state) {
  live.state = state;
  state.classes.forEach((item) => numberOf(item.name));
  const known = classNames();
  if (live.current === undefined && known.length) [live.current] = known;
  if (typeof live.current === "string" && !known.includes(live.current)) [live.current] = known;
}

function know(state, { version, images }, own) {
  takeState(state);
  takeRows(images, own);
  live.version = Math.min(state.version, version);
  tell();
}

// What came with the answer to an event of this page: all that differs from what it knew. What it learned meanwhile
// may be newer
export function take(now) {
  if (now.state.run === live.state.run && now.version > live.version) know(now.state, now, true);
}

let asking = null;
let again = false;

async function ask() {
  do {
    again = false;
    const since = live.version < 0 ? "" : `?since=${live.version}`;
    const [state, rows] = await Promise.all([get("/api/state"), get(`/api/images${since}`)]);
    const other = state.run !== live.state.run; // a program that was started anew
    const anew = other || live.version < 0;
    const answer = other && since ? await get("/api/images") : rows;
    if (anew) {
      live.images = [];
      kept.clear();
    }
    if (anew || Math.min(state.version, answer.version) > live.version) know(state, answer, anew);
  } while (again);
}

// Everything that differs; what is asked for meanwhile is asked once more
export function refresh() {
  again = true;
  asking ||= ask().finally(() => (asking = null));
  return asking;
}

// Once the page knows all that the program knows; without an answer it does not, which is told elsewhere
export const settled = () => refresh().catch((error) => {
  if (!isTrouble(error)) throw error;
});

export const isTrouble = (error) => error instanceof Lost || error instanceof Refused;
