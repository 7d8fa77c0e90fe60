// The window of one picture: which one it is, its candidates, and what a person says of them.

import { $, colourOf, draw, make } from "./base.js";
import { pictureOf } from "./api.js";
import { evidence } from "./evidence.js";
import { numberOf } from "./classes.js";
import { classNames, forget, imageAt, imageWith, isTrouble, live, onLive, searches } from "./live.js";
import { boxOf, extent, visible } from "./picture.js";
import { placeStatus, sayError } from "./say.js";
import { choose, failure, showAgain, showImage, stage, startStage } from "./stage.js";

const MARKS = { right: "\u2713", wrong: "\u2717", other: "\u2192" };
const FINE_AFTER = 250; // milliseconds that a picture is looked at before its finest form is loaded
// items: { i, row } in the order in which they are gone through; row: the one of interest, or null
export const look = { items: [], at: 0, single: false, near: false, turn: 0, shown: false, version: -1, followers: [] };

export const onLook = (call) => look.followers.push(call);
export const isOpen = () => $("viewer").open;

// The chosen candidate, or null
export const chosenHere = () => (isOpen() && look.shown && stage.chosen >= 0 ? { image: stage.image, j: stage.chosen } : null);
export function chosenBox() {
  const at = chosenHere();
  return at ? boxOf(at.image, at.j) : null;
}

function head(i) {
  const { name } = live.images[i];
  $("viewer-name").textContent = name;
  $("viewer-name").title = name;
  $("viewer-place").textContent = `${look.at + 1} of ${look.items.length}`;
  $("before").disabled = look.at === 0;
  $("after").disabled = look.at === look.items.length - 1;
}

async function load(i, then, row) {
  const turn = ++look.turn;
  try {
    const image = await imageWith(i, row, true);
    if (turn === look.turn && isOpen()) then(image);
  } catch (error) {
    if (!isTrouble(error)) throw error;
    sayError(error);
  }
}

const placeOf = (image, row) => (row === null || row === undefined ? -1 : image.id.indexOf(row));

// What is looked at next is there when it is asked for
function fetchNext(at) {
  const next = look.items[at + 1];
  if (next) imageAt(next.i).catch((error) => {
    if (!isTrouble(error)) throw error; // it is asked for again when it is shown
  });
}

// row: a candidate by its record's number, null for the first without a verdict
export function show(at, row) {
  const { i } = look.items[at];
  Object.assign(look, { at, row, shown: false });
  head(i);
  refreshJudge(); // no verdict on a picture that is not there yet
  load(i, (image) => {
    look.shown = true;
    const open = [...image.shown.keys()].find((j) => image.shown[j] && !image.verdicts.has(j));
    const j = placeOf(image, row);
    showImage(image, j >= 0 || open === undefined ? j : open);
    fetchNext(at);
  }, row);
}

// After a change: what was chosen stays so, unless it is no detection any more and has no verdict
function again() {
  if (look.version === live.version) return;
  look.version = live.version;
  const { i } = look.items[look.at];
  forget(i);
  if (!look.shown) {
    show(look.at, look.row); // it was on its way
    return;
  }
  load(i, (image) => {
    const row = stage.chosen >= 0 ? stage.image.id[stage.chosen] : null;
    let j = placeOf(image, row);
    if (j >= 0 && look.expected === row && !image.shown[j] && !image.verdicts.has(j)) j = nextOpen(image, -1);
    look.shown = true;
    showAgain(image, j);
  });
}

export function openLook(items, at, single) {
  Object.assign(look, { items, single, version: live.version });
  if (!isOpen()) $("viewer").showModal();
  placeStatus($("status-here"));
  show(at, items[at].row);
  $("list").focus();
}

export function step(by) {
  const to = look.at + by;
  if (to >= 0 && to < look.items.length) show(to, look.items[to].row);
}

const hits = (image) => [...image.shown.keys()].filter((j) => image.shown[j]);
const isOpenOne = (image, j) => image.shown[j] && !image.verdicts.has(j);

// The next detection without a verdict, in the order of the list; -1 for none
export function nextOpen(image, j) {
  const order = stage.image === image ? stage.order : listed(image, -1);
  const rest = order.slice(order.indexOf(j) + 1);
  const found = [...rest, ...order].find((k) => k !== j && isOpenOne(image, k));
  return found === undefined ? -1 : found;
}

// Detections first, best first; then what has a verdict and what came close; the chosen one is always there
function listed(image, chosen) {
  const misses = look.near ? visible(image, { only: null, rejected: "near", low: -Infinity, high: Infinity }).misses : [];
  const all = new Set([...hits(image), ...image.verdicts.keys(), ...misses]);
  if (chosen >= 0) all.add(chosen);
  const key = (j) => 10 * image.shown[j] + image.score[j];
  const judged = hits(image).filter((j) => image.verdicts.has(j)).length;
  $("list-note").textContent = image.failed ? "" : `${judged} of ${image.count} judged`;
  return [...all].sort((a, b) => key(b) - key(a));
}

function said(image, j) {
  const given = image.verdicts.get(j);
  if (given === undefined) return { text: "", kind: "" };
  return { text: given.verdict === "other" ? `${MARKS.other} ${given.label}` : MARKS[given.verdict], kind: given.verdict };
}

function nothing(image) {
  if (image.failed) return failure(image);
  const words = searches()
    ? "Nothing was found here. Click on an object to take it as an exemplar."
    : "There is no exemplar yet. Click on an object in the picture, draw a box (B), or paste a picture of one.";
  return [make("p", { class: "soft", text: words })];
}

// Sharper pictures over the small one: at once, and the finest where one is looked at for long
function sharper(image) {
  const [width, height] = extent(image);
  const group = draw("g", { class: "sharp" });
  const add = (side) => group.append(draw("image", { href: pictureOf(image.index, side), width, height, preserveAspectRatio: "none" }));
  if (image.failed) return group;
  add(1024);
  if (Math.max(...image.size) > 1024) setTimeout(() => group.isConnected && add(0), FINE_AFTER);
  return group;
}

// The same picture again keeps what is loaded of it
function ground(image) {
  const before = $("shown").querySelector("g.sharp");
  return before && stage.drawn === image.name ? before : sharper(image);
}

function classButtons(at) {
  const said = at && at.image.verdicts.get(at.j);
  const own = at && at.image.page.classes[at.image.label[at.j]];
  return classNames().map((name, i) => {
    const pressed = Boolean(said) && (said.verdict === "other" ? said.label === name : said.verdict === "right" && own === name);
    const key = i < 9 ? make("kbd", { text: String(i + 1) }) : "";
    const button = make("button", { type: "button", class: "plain of-class", "data-class": name, title: name, "aria-pressed": String(pressed) },
      key, make("span", { class: "word", text: name }));
    button.style.setProperty("--own", colourOf(numberOf(name)));
    button.disabled = !at;
    return button;
  });
}

export function refreshJudge() {
  const at = chosenHere();
  const given = at && at.image.verdicts.get(at.j);
  for (const verdict of ["right", "wrong"]) {
    $(verdict).disabled = !at;
    $(verdict).setAttribute("aria-pressed", String(Boolean(given) && given.verdict === verdict));
  }
  const held = document.activeElement && document.activeElement.dataset.class;
  $("as").replaceChildren(...classButtons(at));
  const back = held && [...$("as").children].find((button) => button.dataset.class === held);
  if (back) back.focus();
}

const telling = {
  listed,
  said,
  over: (image) => [ground(image)],
  far: (image, j) => !image.shown[j] && image.verdicts.has(j), // what was said to be wrong is gone, but in the list
  note: (image, j) => (image.shown[j] || image.verdicts.has(j) ? "" : "not found"),
  evidence: (image, j) => (j < 0 ? nothing(image) : evidence(image, j, { lines: [], acts: [] }, choose)),
  chose: () => {
    stage.drawn = stage.image.name;
    refreshJudge();
    look.followers.forEach((call) => call());
  },
};

export function showNear() {
  look.near = !look.near;
  $("near").setAttribute("aria-pressed", String(look.near));
  if (look.shown) showAgain(stage.image, stage.chosen);
}

export function startLook() {
  startStage(telling);
  onLive(() => isOpen() && look.items.length && again());
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));
  $("near").addEventListener("click", showNear);
  $("close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("click", (event) => event.target === $("viewer") && $("viewer").close());
  $("viewer").addEventListener("close", () => {
    look.shown = false;
    placeStatus(document.body);
  });
}
