// The window of one image: which image it is, and what the page says of its candidates.

import { additions } from "./acts.js";
import { $, make } from "./base.js";
import { evidence } from "./evidence.js";
import { gallery, keyOf, makeCurrent, relist, settings } from "./gallery.js";
import { slack } from "./image.js";
import { boxOf, nearMiss, visible } from "./picture.js";
import { keys, MARKS, refreshReview, startReview } from "./review.js";
import { choose, failure, redrawList, showAgain, showImage, stage, stageKeys, startStage } from "./stage.js";
import { truthLayer, wordOf } from "./truth.js";
import { onVerdict, unjudged, verdictOf } from "./verdicts.js";
import { farther, isNear, nearer, pan, startZoom, whole, zoomTo } from "./zoom.js";

const viewer = { items: [], at: 0 };

export function openViewer(i, j) {
  viewer.items = gallery.items; // the order stays while the window is open, whatever is decided in it
  $("viewer").showModal();
  show(i, j);
  $("list").focus();
}

function show(i, j) {
  const { image, j: own } = viewer.items[i];
  viewer.at = i;
  $("viewer-name").textContent = image.name;
  $("viewer-name").title = image.name;
  $("viewer-place").textContent = `${i + 1} of ${viewer.items.length}`;
  $("before").disabled = i === 0;
  $("after").disabled = i === viewer.items.length - 1;
  showImage(image, j >= 0 ? j : own);
}

// Accepted first, then rejected as the page is set; the chosen one is always there
function inOrder(image, j) {
  const chosen = settings();
  const seen = visible(image, chosen);
  const all = [...seen.hits, ...seen.misses];
  if (j >= 0 && !all.includes(j)) all.push(j);
  const key = chosen.order === "doubt" && !chosen.single ? (k) => -Math.abs(slack(image, k)) : (k) => 10 * image.shown[k] + image.score[k];
  const left = image.shown.length - all.length;
  $("list-note").textContent = image.failed ? "" : left ? `${left.toLocaleString("en")} more rejected` : "all shown";
  return all.sort((a, b) => key(b) - key(a));
}

function said(image, j) {
  const given = verdictOf(image, j);
  if (given === null) return { text: "", kind: "" };
  return { text: given.verdict === "other" ? `${MARKS.other} ${given.label}` : MARKS[given.verdict], kind: given.verdict };
}

function nothingChosen(image) {
  if (image.failed) return failure(image);
  const words = image.shown.length
    ? "No detections here. Show rejected candidates to see what came close."
    : "No candidates here.";
  return [make("p", { class: "soft", text: words })];
}

const telling = {
  listed: inOrder,
  said,
  over: (image) => (settings().truth ? [truthLayer(image, null)] : []),
  far: (image, j) => !image.shown[j] && !nearMiss(image, j),
  note: (image, j) => (image.shown[j] ? wordOf(image, j) : "rejected"),
  evidence: (image, j) => (j < 0 ? nothingChosen(image) : evidence(image, j, additions(image, j), choose)),
  chose: refreshReview,
};

export const refreshViewer = () => showAgain(viewer.items[viewer.at].image, stage.chosen);

function step(by) {
  const to = viewer.at + by;
  if (to >= 0 && to < viewer.items.length) show(to, -1);
}

const chosenHere = () => {
  const item = $("viewer").open ? viewer.items[viewer.at] : undefined;
  return item && stage.chosen >= 0 ? { image: item.image, j: stage.chosen } : null;
};
const chosenBox = () => {
  const at = chosenHere();
  return at ? boxOf(at.image, at.j) : null;
};

// After a verdict: the next detection without one, here or in what follows
function goOn({ image, j }) {
  const { j: own } = viewer.items[viewer.at];
  const open = (k) => unjudged(image, k);
  const rest = stage.order.slice(stage.order.indexOf(j) + 1);
  const here = own >= 0 ? undefined : [...rest, ...stage.order].find(open);
  if (here !== undefined) {
    choose(here);
    return;
  }
  const to = viewer.items.findIndex((item, i) => i > viewer.at && (item.j >= 0 ? unjudged(item.image, item.j)
    : [...item.image.shown.keys()].some((k) => unjudged(item.image, k))));
  if (to < 0) return;
  show(to, -1);
  const first = stage.order.find((k) => unjudged(viewer.items[to].image, k));
  if (viewer.items[to].j < 0 && first !== undefined) choose(first);
}

function goBack({ image, j }) {
  if (!$("viewer").open) return;
  const i = viewer.items.findIndex((item) => item.image === image && (item.j < 0 || item.j === j));
  if (i === viewer.at) choose(j);
  else if (i >= 0) show(i, j);
}

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function startViewer() {
  const moves = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), "+": () => nearer(chosenBox()), "=": () => nearer(chosenBox()),
    "-": farther, 0: whole, z: () => chosenBox() && (isNear() ? whole() : zoomTo(chosenBox())), ...keys, ...stageKeys,
  };
  $("viewer").addEventListener("keydown", (event) => {
    const typing = ["INPUT", "SELECT"].includes(event.target.tagName);
    const move = event.shiftKey && WAYS[event.key] ? () => pan(...WAYS[event.key]) : moves[event.key];
    if (!move || typing || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move();
  });
  startStage(telling);
  startZoom(chosenBox);
  startReview(chosenHere, goOn, goBack);
  onVerdict(() => $("viewer").open && redrawList());
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));
  $("close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("click", (event) => event.target === $("viewer") && $("viewer").close());
  $("viewer").addEventListener("close", () => {
    const last = viewer.items[viewer.at];
    relist();
    const i = gallery.items.findIndex((item) => keyOf(item) === keyOf(last));
    if (i < 0) return;
    makeCurrent(i, true);
    gallery.cards[i].scrollIntoView({ block: "nearest" });
  });
}
