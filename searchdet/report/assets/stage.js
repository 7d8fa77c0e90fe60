// One image large beside a list of its candidates; the chosen one stands out in both.

import { $, colourOf, dot, draw, make, short } from "./base.js";
import { boxOf, detail, pathOf, picture, strokes } from "./picture.js";
import { attach, detach, isNear, reveal } from "./zoom.js";

// told: what a page says of a candidate. listed(image, chosen): candidates in order; over(image): shapes below them;
// far(image, j): whether one is drawn only when it is chosen; note(image, j) and said(image, j): text and
// { text, kind } of a row; evidence(image, j): elements; chose(): what follows.
export const stage = { image: null, order: [], chosen: -1, told: null };

// chosen: a candidate, or -1 for the first one listed
export function showImage(image, chosen) {
  Object.assign(stage, { image, chosen });
  stage.order = stage.told.listed(image, chosen);
  if (chosen < 0 && stage.order.length) stage.chosen = stage.order[0];
  drawStage(image);
  drawList(image);
  choose(stage.chosen);
}

function groupOf(image, j) {
  const path = pathOf(image, j);
  const area = draw("path", { class: "hit", d: path, fill: "none" });
  const shapes = strokes(image.shown[j] ? "mask" : "miss", path, image.label[j]);
  const group = draw("g", { class: stage.told.far(image, j) ? "hit far" : "hit", "data-j": j }, ...shapes, area);
  group.addEventListener("click", () => choose(j));
  return group;
}

function drawStage(image) {
  if (image.failed) {
    $("shown").replaceChildren(make("p", { class: "blank", text: "This image could not be used." }));
    detach();
    return;
  }
  const areas = detail(image).area;
  const below = [...stage.order].sort((a, b) => areas[b] - areas[a]); // small ones on top, so that they can be clicked
  const drawn = picture(image, null, ...stage.told.over(image), ...below.map((j) => groupOf(image, j)));
  const parts = [drawn];
  if (image.page.ground(image) === null && !image.full) parts.push(make("span", { class: "blank", text: image.name }));
  $("shown").replaceChildren(...parts);
  attach(drawn, image);
}

function rowOf(image, j) {
  const item = make("li", { role: "option", id: `row${j}`, class: image.shown[j] ? "" : "out" });
  const { text, kind } = stage.told.said(image, j);
  item.style.setProperty("--own", colourOf(image.label[j]));
  item.append(dot(image.label[j]), make("span", { class: "what", text: image.page.classes[image.label[j]] }),
    make("span", { class: "no", text: stage.told.note(image, j) }), make("span", { class: `said ${kind}`, text }),
    make("span", { class: "num", text: short(image.score[j]) }));
  item.addEventListener("click", () => choose(j));
  return item;
}

function drawList(image) {
  $("list").replaceChildren(...stage.order.map((j) => rowOf(image, j)));
  markChosen();
}

export const redrawList = () => drawList(stage.image);

function markChosen() {
  for (const item of $("list").children) item.setAttribute("aria-selected", String(item.id === `row${stage.chosen}`));
}

// The row of a candidate within the list's own scrolling
function scrollList(j) {
  const list = $("list");
  const row = $(`row${j}`);
  if (row.offsetTop < list.scrollTop + list.offsetTop) list.scrollTop = row.offsetTop - list.offsetTop - 2;
  const under = row.offsetTop + row.offsetHeight - list.offsetTop - list.clientHeight;
  if (under > list.scrollTop) list.scrollTop = under + 2;
}

export function choose(j) {
  const { image, told } = stage;
  stage.chosen = j;
  if (j >= 0 && !stage.order.includes(j)) {
    stage.order = told.listed(image, j);
    drawStage(image);
    drawList(image);
  }
  markChosen();
  for (const group of $("stage").querySelectorAll("g[data-j]")) group.classList.toggle("chosen", group.dataset.j === String(j));
  const top = $("stage").querySelector("g.chosen");
  if (top) top.parentNode.append(top);
  $("evidence").replaceChildren(...told.evidence(image, j));
  if (j >= 0) {
    $("list").setAttribute("aria-activedescendant", `row${j}`);
    scrollList(j);
    $("evidence").scrollTop = 0;
    if (isNear()) reveal(boxOf(image, j));
  } else $("list").removeAttribute("aria-activedescendant");
  told.chose();
}

export function stepInside(by) {
  const to = stage.order.indexOf(stage.chosen) + by;
  if (to >= 0 && to < stage.order.length) choose(stage.order[to]);
}

// The same image, decided anew: what was looked at stays where it was
export function showAgain(image, chosen) {
  const kept = $("evidence").scrollTop;
  const inside = $("evidence").contains(document.activeElement);
  showImage(image, chosen);
  $("evidence").scrollTop = kept;
  if (inside) $("list").focus({ preventScroll: true });
}

export function failure(image) {
  return [make("div", { class: "verdict" }, make("h3", { text: `Failed: ${image.error[0]}` })), make("p", { class: "why", text: image.error[1] })];
}

function bare() {
  const now = $("stage").classList.toggle("bare");
  $("bare").setAttribute("aria-pressed", String(now));
}

export const stageKeys = {
  ArrowUp: () => stepInside(-1), ArrowDown: () => stepInside(1), m: bare,
  Home: () => stage.order.length && choose(stage.order[0]), End: () => stage.order.length && choose(stage.order.at(-1)),
};

export function startStage(told) {
  stage.told = told;
  $("bare").addEventListener("click", bare);
}
