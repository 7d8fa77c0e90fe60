// What to look at next: single detections and near misses, the least certain first, each with its reason.

import { $, after, dot, draw, make, short } from "./base.js";
import { get } from "./api.js";
import { act } from "./deeds.js";
import { Grid } from "./grid.js";
import { numberOf } from "./classes.js";
import { classNames, imageWith, isTrouble, live, onLive, searches } from "./live.js";
import { around, pathOf, picture, strokes } from "./picture.js";

const MOST = 120;
const SHAPE = 1.25;
export const queue = { items: [], version: -1, label: null, grid: null, loaded: false };
const followers = [];
export const onQueue = (call) => followers.push(call);

export const keyOf = (item) => `${item.i}#${item.row}`;

export function whyOf({ why, score, min_score: least }) {
  if (why === "between") return "between two classes";
  if (why === "unlike") return "unlike all exemplars";
  if (score === null || least === null || least === undefined) return "near the line";
  const gap = score - least;
  return `${short(Math.abs(gap))} ${gap < 0 ? "below" : "above"} the line`;
}

async function ask() {
  const label = $("class").value;
  if (queue.version === live.version && queue.label === label) return;
  Object.assign(queue, { version: live.version, label });
  const of = label ? `&label=${encodeURIComponent(label)}` : "";
  const { items } = await get(`/api/review?count=${MOST}${of}`);
  Object.assign(queue, { items, loaded: true });
  followers.forEach((call) => call());
}

export const needsQueue = () => !$("queue").hidden || $("order").value === "next";
export const askQueue = () => ask().catch((error) => {
  if (!isTrouble(error)) throw error;
  queue.version = -1;
});
const askSoon = after(60, () => needsQueue() && !$("viewer").open && askQueue());

export function relistQueue() {
  if ($("queue").hidden) return;
  $("listed").textContent = queue.loaded ? `${queue.items.length.toLocaleString("en")} to look at` : "";
  $("nothing").hidden = queue.items.length > 0;
  $("nothing").textContent = !queue.loaded ? "Looking\u2026" : searches() ? "Nothing is in doubt." : "There is no exemplar yet.";
  queue.grid.show(queue.items);
}

function cropOf(image, j) {
  const kind = image.shown[j] ? "mask" : "miss";
  return picture(image, around(image, j, SHAPE), draw("g", {}, ...strokes(kind, pathOf(image, j), image.label[j])));
}

function label(card, item) {
  const name = item.image.slice(item.image.lastIndexOf("/") + 1);
  const first = make("span", { class: "path" }, dot(numberOf(item.label)), make("b", { text: `${item.label} ${short(item.score)}` }));
  const second = make("span", { class: "chips" }, make("span", { class: "chip", text: whyOf(item) }), make("span", { class: "chip from", text: name, title: item.image }));
  card.firstChild.lastChild.replaceChildren(first, second);
  card.firstChild.setAttribute("aria-label", `${item.label} ${short(item.score)}, ${whyOf(item)}, in ${item.image}`);
  for (const button of card.querySelectorAll("[data-say]")) {
    button.setAttribute("aria-label", `${button.dataset.say === "right" ? "Right" : "Wrong"}: ${item.label} in ${item.image}`);
  }
}

async function fill(card, item) {
  label(card, item);
  const frame = card.firstChild.firstChild;
  frame.dataset.of = keyOf(item);
  card.classList.remove("done");
  try {
    const image = await imageWith(item.i, item.row);
    const j = image.id.indexOf(item.row);
    if (!card.isConnected || frame.dataset.of !== keyOf(item) || j < 0) return;
    frame.replaceChildren(cropOf(image, j));
  } catch (error) {
    if (!isTrouble(error)) throw error; // the next change asks again
  }
}

function card() {
  const quick = (say, text) => make("button", { type: "button", class: `plain ${say}`, tabindex: "-1", "data-say": say, text });
  return make("li", { class: "card one" }, make("button", { type: "button", class: "open", tabindex: "-1" },
    make("span", { class: "pic" }), make("span", { class: "cap" })),
  make("div", { class: "quick" }, quick("right", "\u2713 Right"), quick("wrong", "\u2717 Wrong")));
}

function sayOf(item, verdict, name) {
  const card = queue.grid.cards.get(keyOf(item));
  if (card) card.classList.add("done");
  const place = queue.grid.places.get(keyOf(item));
  const next = queue.items[place + 1];
  if (next && queue.grid.list.contains(document.activeElement)) queue.grid.focus(keyOf(next));
  act({ kind: "judge", image: item.image, row: item.row, verdict, label: name }).then((change) => {
    if (change === null && card) card.classList.remove("done");
  });
}

// A key on a card: right, wrong, or the number of a class
function keyed(event) {
  const item = queue.grid.currentItem();
  if (!item || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const name = classNames()[Number(event.key) - 1];
  if (event.key === "y") sayOf(item, "right", null);
  else if (event.key === "n" || event.key === "Backspace") sayOf(item, "wrong", null);
  else if (name !== undefined) sayOf(item, name === item.label ? "right" : "other", name === item.label ? null : name);
  else return;
  event.preventDefault();
}

// open: shows one of the queue large
export function startNext(open) {
  queue.grid = new Grid($("queue"), {
    key: keyOf, card, fill,
    open: (item, event) => {
      const button = event.target.closest("[data-say]");
      if (button) sayOf(item, button.dataset.say, null);
      else open(item);
    },
  });
  $("queue").addEventListener("keydown", keyed);
  onLive(askSoon);
  onQueue(relistQueue);
}
