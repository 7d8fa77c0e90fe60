// Everything is set up here; what keys mean; which of both lists is shown.

import { $, oncePerFrame } from "./base.js";
import { showKeys, startAsk } from "./ask.js";
import { boxKey, isBoxing, pressB, setBoxing, startBox } from "./box.js";
import { redo, undo } from "./deeds.js";
import { judgeKeys, startJudging } from "./judging.js";
import { classNames, isTrouble, live, makeCurrent, onLive, refresh, tell } from "./live.js";
import { chosenBox, isOpen, look, openLook, showNear, startLook, step } from "./look.js";
import { askQueue, keyOf, onQueue, queue, relistQueue, startNext } from "./next.js";
import { endOffer, offerKey, startOffer, startPoint } from "./offer.js";
import { startPaste } from "./paste.js";
import { gridOfPictures, listed, relist, showChanged, startPictures } from "./pictures.js";
import { sayError, startSay } from "./say.js";
import { startSide, toggleSide } from "./side.js";
import { stage, stageKeys } from "./stage.js";
import { startStream } from "./stream.js";
import { farther, isNear, nearer, pan, startZoom, whole, zoomTo } from "./zoom.js";

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TYPED = ["INPUT", "SELECT", "TEXTAREA"];

function openPicture(i) {
  const items = listed().map((row) => ({ i: row.i, row: null }));
  const at = items.findIndex((item) => item.i === i);
  openLook(at < 0 ? [{ i, row: null }] : items, Math.max(at, 0), false);
}

function openPlace({ i, row }) {
  toggleSide(false);
  openLook([{ i, row }], 0, false);
}

function openOffered(item) {
  const at = queue.items.findIndex((other) => keyOf(other) === keyOf(item));
  openLook(queue.items.map(({ i, row }) => ({ i, row })), Math.max(at, 0), true);
}

function setView() {
  const next = document.querySelector("input[name=view]:checked").value === "next";
  document.body.classList.toggle("of-next", next);
  $("gallery").hidden = next;
  $("queue").hidden = !next;
  if (!next) relist();
  else {
    relistQueue();
    askQueue();
  }
}

const zoomed = () => chosenBox() && (isNear() ? whole() : zoomTo(chosenBox()));
const windowKeys = {
  ...stageKeys, ...judgeKeys, ArrowLeft: () => step(-1), ArrowRight: () => step(1),
  "+": () => nearer(chosenBox()), "=": () => nearer(chosenBox()), "-": farther, 0: whole, z: zoomed, x: showNear,
  p: startPoint,
};

function actionOf(event) {
  if (event.key === "b") return () => pressB(event);
  const held = (isBoxing() && boxKey(event)) || (stage.image && offerKeyOf(event));
  if (held) return held;
  if (event.shiftKey && WAYS[event.key]) return () => pan(...WAYS[event.key]);
  if (event.key === "Enter" && event.target.closest("button, a, summary")) return undefined;
  return windowKeys[event.key];
}

const offerKeyOf = (event) => (event.key !== "Escape" || $("shown").querySelector("g.offer > *") ? offerKey(event) : null);

function windowKeyed(event) {
  if (TYPED.includes(event.target.tagName) || event.altKey || event.ctrlKey || event.metaKey) return;
  const action = look.shown ? actionOf(event) : undefined;
  if (!action) return;
  event.preventDefault();
  event.stopPropagation();
  action();
}

// A digit with Shift makes a class the current one, and zero the negatives
function choosesClass(event) {
  const digit = event.shiftKey && /^Digit\d$/.test(event.code) ? Number(event.code.slice(5)) : null;
  if (digit === null) return false;
  const name = digit === 0 ? null : classNames()[digit - 1];
  if (name !== undefined) makeCurrent(name);
  return true;
}

function keyed(event) {
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  const typing = TYPED.includes(event.target.tagName) && event.target.type !== "radio" && event.target.type !== "checkbox";
  if (typing || event.altKey || document.querySelector("dialog[open]:not(#viewer)")) return;
  if (command && key === "z") (event.shiftKey ? redo : undo)();
  else if (command && key === "y") redo();
  else if (command) return;
  else if (event.key === "?") showKeys();
  else if (choosesClass(event)) void 0;
  else if (!isOpen() && key === "u") undo();
  else if (!isOpen() && key === "r") redo();
  else if (event.key === "Escape" && $("side").classList.contains("out") && !isOpen()) {
    toggleSide(false);
    $("side-button").focus();
  } else return;
  event.preventDefault();
}

function closed() {
  const item = look.items[look.at];
  setBoxing(false);
  endOffer();
  tell();
  if (!item || !live.images[item.i]) return;
  if (!$("queue").hidden) queue.grid.focus(queue.grid.places.has(keyOf(item)) ? keyOf(item) : queue.grid.current);
  else gridOfPictures().focus(live.images[item.i].name);
}

function start() {
  startSay(openPicture, undo);
  startAsk();
  startSide(openPlace);
  startPictures(openPicture);
  startNext(openOffered);
  startLook();
  startBox();
  startOffer();
  startZoom(chosenBox);
  startJudging();
  startPaste();
  $("viewer").addEventListener("keydown", windowKeyed);
  $("viewer").addEventListener("close", closed);
  document.addEventListener("keydown", keyed);
  $("view").addEventListener("change", setView);
  $("class").addEventListener("change", () => askQueue());
  $("order").addEventListener("change", () => askQueue());
  $("status-changed").addEventListener("click", showChanged);
  onQueue(() => $("order").value === "next" && relist());
  onLive(oncePerFrame(() => ($("status-changed").hidden = isOpen() || live.changes.size < 1)));
}

start();
refresh().catch((error) => {
  if (!isTrouble(error)) throw error;
  sayError(error);
}).finally(() => {
  startStream();
  document.documentElement.dataset.ready = "";
});
