// One image large, its candidates, and the evidence of one of them.

import { $, block, colourOf, dot, draw, make, short } from "./base.js";
import { evidence } from "./evidence.js";
import { gallery, keyOf, makeCurrent, relist, settings } from "./gallery.js";
import { boxOf, detail, nearMiss, pathOf, picture, strokes, visible } from "./picture.js";
import { keys, MARKS, refreshReview, startReview } from "./review.js";
import { classes, slack } from "./state.js";
import { truthLayer, wordOf } from "./truth.js";
import { onVerdict, unjudged, verdictOf } from "./verdicts.js";
import { attach, detach, farther, isNear, nearer, pan, reveal, startZoom, whole, zoomTo } from "./zoom.js";

const viewer = { items: [], at: 0, chosen: -1, order: [], opened: null };

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
  viewer.chosen = j >= 0 ? j : own;
  order(image);
  if (viewer.chosen < 0 && viewer.order.length) viewer.chosen = viewer.order[0];
  drawStage(image);
  drawList(image);
  choose(viewer.chosen);
}

// Accepted first, then rejected as the page is set; the chosen one is always there
function order(image) {
  const chosen = settings();
  const seen = visible(image, chosen);
  const all = [...seen.hits, ...seen.misses];
  if (viewer.chosen >= 0 && !all.includes(viewer.chosen)) all.push(viewer.chosen);
  const key = chosen.order === "doubt" && !chosen.single ? (j) => -Math.abs(slack(image, j)) : (j) => 10 * image.shown[j] + image.score[j];
  viewer.order = all.sort((a, b) => key(b) - key(a));
  const left = image.shown.length - viewer.order.length;
  $("list-note").textContent = image.failed ? "" : left ? `${left.toLocaleString("en")} more rejected` : "all shown";
}

function drawStage(image) {
  if (image.failed) {
    $("shown").replaceChildren(make("p", { class: "blank", text: "This image could not be used." }));
    detach();
    return;
  }
  const areas = detail(image.index).area;
  const below = [...viewer.order].sort((a, b) => areas[b] - areas[a]); // small ones on top, so that they can be clicked
  const groups = below.map((j) => {
    const path = pathOf(image, j);
    const kind = image.shown[j] ? "mask" : "miss";
    const area = draw("path", { class: "hit", d: path, fill: "none" });
    const far = !image.shown[j] && !nearMiss(image, j);
    const group = draw("g", { class: far ? "hit far" : "hit", "data-j": j }, ...strokes(kind, path, image.label[j]), area);
    group.addEventListener("click", () => choose(j));
    return group;
  });
  const drawn = picture(image, null, ...(settings().truth ? [truthLayer(image, null)] : []), ...groups);
  const parts = [drawn];
  if (block(`t${image.index}`) === null && !image.full) parts.push(make("span", { class: "blank", text: image.name }));
  $("shown").replaceChildren(...parts);
  attach(drawn, image);
}

function drawList(image) {
  const rows = viewer.order.map((j) => {
    const item = make("li", { role: "option", id: `row${j}`, class: image.shown[j] ? "" : "out" });
    item.style.setProperty("--own", colourOf(image.label[j]));
    item.append(dot(image.label[j]), make("span", { class: "what", text: classes[image.label[j]] }),
      make("span", { class: "no", text: image.shown[j] ? wordOf(image, j) : "rejected" }), said(image, j), make("span", { class: "num", text: short(image.score[j]) }));
    item.addEventListener("click", () => choose(j));
    return item;
  });
  $("list").replaceChildren(...rows);
  markChosen();
}

function markChosen() {
  for (const item of $("list").children) item.setAttribute("aria-selected", String(item.id === `row${viewer.chosen}`));
}

function said(image, j) {
  const given = verdictOf(image, j);
  const text = given === null ? "" : given.verdict === "other" ? `${MARKS.other} ${given.label}` : MARKS[given.verdict];
  return make("span", { class: `said ${given ? given.verdict : ""}`, text });
}

function choose(j) {
  const { image } = viewer.items[viewer.at];
  if (j >= 0 && !viewer.order.includes(j)) {
    viewer.chosen = j;
    order(image);
    drawStage(image);
    drawList(image);
  }
  viewer.chosen = j;
  markChosen();
  for (const group of $("stage").querySelectorAll("g[data-j]")) group.classList.toggle("chosen", group.dataset.j === String(j));
  const top = $("stage").querySelector("g.chosen");
  if (top) top.parentNode.append(top);
  if (j >= 0) {
    $("list").setAttribute("aria-activedescendant", `row${j}`);
    const row = $(`row${j}`);
    const list = $("list");
    if (row.offsetTop < list.scrollTop + list.offsetTop) list.scrollTop = row.offsetTop - list.offsetTop - 2;
    const under = row.offsetTop + row.offsetHeight - list.offsetTop - list.clientHeight;
    if (under > list.scrollTop) list.scrollTop = under + 2;
    $("evidence").replaceChildren(...evidence(image, j, choose));
    $("evidence").scrollTop = 0;
    if (isNear()) reveal(boxOf(image, j));
    refreshReview();
    return;
  }
  $("list").removeAttribute("aria-activedescendant");
  $("evidence").replaceChildren(...nothingChosen(image));
  refreshReview();
}

function nothingChosen(image) {
  if (image.failed) {
    return [make("div", { class: "verdict" }, make("h3", { text: `Failed: ${image.error[0]}` })), make("p", { class: "why", text: image.error[1] })];
  }
  const words = image.shown.length
    ? "No detections here. Show rejected candidates to see what came close."
    : "No candidates here.";
  return [make("p", { class: "soft", text: words })];
}

export function refreshViewer() {
  const { image } = viewer.items[viewer.at];
  const kept = $("evidence").scrollTop;
  const inside = $("evidence").contains(document.activeElement);
  order(image);
  drawStage(image);
  drawList(image);
  choose(viewer.chosen);
  $("evidence").scrollTop = kept;
  if (inside) $("list").focus({ preventScroll: true });
}

function step(by) {
  const to = viewer.at + by;
  if (to >= 0 && to < viewer.items.length) show(to, -1);
}

function stepInside(by) {
  const to = viewer.order.indexOf(viewer.chosen) + by;
  if (to >= 0 && to < viewer.order.length) choose(viewer.order[to]);
}

const chosenHere = () => {
  const item = $("viewer").open ? viewer.items[viewer.at] : undefined;
  return item && viewer.chosen >= 0 ? { image: item.image, j: viewer.chosen } : null;
};
const chosenBox = () => {
  const at = chosenHere();
  return at ? boxOf(at.image, at.j) : null;
};

// After a verdict: the next detection without one, here or in what follows
function goOn({ image, j }) {
  const { j: own } = viewer.items[viewer.at];
  const open = (k) => unjudged(image, k);
  const rest = viewer.order.slice(viewer.order.indexOf(j) + 1);
  const here = own >= 0 ? undefined : [...rest, ...viewer.order].find(open);
  if (here !== undefined) {
    choose(here);
    return;
  }
  const to = viewer.items.findIndex((item, i) => i > viewer.at && (item.j >= 0 ? unjudged(item.image, item.j)
    : [...item.image.shown.keys()].some((k) => unjudged(item.image, k))));
  if (to < 0) return;
  show(to, -1);
  const first = viewer.order.find((k) => unjudged(viewer.items[to].image, k));
  if (viewer.items[to].j < 0 && first !== undefined) choose(first);
}

function goBack({ image, j }) {
  if (!$("viewer").open) return;
  const i = viewer.items.findIndex((item) => item.image === image && (item.j < 0 || item.j === j));
  if (i === viewer.at) choose(j);
  else if (i >= 0) show(i, j);
}

function bare() {
  const now = $("stage").classList.toggle("bare");
  $("bare").setAttribute("aria-pressed", String(now));
}

const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function startViewer() {
  const moves = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => stepInside(-1), ArrowDown: () => stepInside(1),
    m: bare, "+": () => nearer(chosenBox()), "=": () => nearer(chosenBox()), "-": farther, 0: whole,
    z: () => chosenBox() && (isNear() ? whole() : zoomTo(chosenBox())),
    ...keys,
    Home: () => viewer.order.length && choose(viewer.order[0]), End: () => viewer.order.length && choose(viewer.order.at(-1)),
  };
  $("viewer").addEventListener("keydown", (event) => {
    const typing = ["INPUT", "SELECT"].includes(event.target.tagName);
    const move = event.shiftKey && WAYS[event.key] ? () => pan(...WAYS[event.key]) : moves[event.key];
    if (!move || typing || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    move();
  });
  startZoom(chosenBox);
  startReview(chosenHere, goOn, goBack);
  onVerdict(() => $("viewer").open && drawList(viewer.items[viewer.at].image));
  $("before").addEventListener("click", () => step(-1));
  $("after").addEventListener("click", () => step(1));
  $("bare").addEventListener("click", bare);
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
