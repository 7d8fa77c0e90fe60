// Detections against the ground truth, where the page was made with one: right, false alarm, missed.

import { $, counted, draw, make, short } from "./base.js";
import { MILLION } from "./image.js";
import { detail, objectPath, unit } from "./picture.js";
import { head, images, onChange } from "./state.js";

export const known = head.iou !== null;
const fresh = new WeakMap();
let age = 0;

// Best score first, each detection takes the free object of its class that it overlaps most
export function judged(image) {
  const before = fresh.get(image);
  if (before && before.age === age) return before;
  const found = { age, right: new Map(), wrong: new Set(), missed: [] };
  fresh.set(image, found);
  if (!image.truth) return found;
  const { label, crowd, pairs, of } = image.truth;
  const free = new Set(label.map((_, k) => k).filter((k) => !crowd.has(k)));
  const shown = [...image.shown.keys()].filter((j) => image.shown[j] && of.has(image.label[j]));
  for (const j of shown.sort((a, b) => image.score[b] - image.score[a])) {
    let best = null;
    let passed = false;
    for (const [k, iou] of pairs.get(j) || []) {
      if (crowd.has(k)) passed = true;
      else if (free.has(k) && (best === null || iou > best[1])) best = [k, iou];
    }
    if (best !== null) {
      free.delete(best[0]);
      found.right.set(j, best[1]);
    } else if (!passed) found.wrong.add(j);
  }
  found.missed = [...free];
  return found;
}

// A word of the truth on a detection; "" where it says nothing
export function wordOf(image, j) {
  if (!image.truth || !image.shown[j]) return "";
  const found = judged(image);
  if (found.right.has(j)) return "true";
  return found.wrong.has(j) ? "false alarm" : "";
}

export function lineOf(image, j) {
  const word = wordOf(image, j);
  if (!word) return [];
  const iou = judged(image).right.get(j);
  const words = iou === undefined ? "a false alarm" : `true, IoU ${short(iou)}`;
  return [make("p", { class: "why" }, "By the ground truth: ", make("b", { class: iou === undefined ? "no" : "yes", text: words }))];
}

// Objects of the truth over a picture: missed ones stand out, and a cross lies on each false alarm
export function truthLayer(image, shownOnly) {
  const group = draw("g", { class: "truth" });
  if (!image.truth) return group;
  const { missed, wrong } = judged(image);
  const lost = new Set(missed);
  image.truth.label.forEach((label, k) => {
    if (image.truth.crowd.has(k) || (shownOnly !== null && label !== shownOnly)) return;
    const path = objectPath(image, k);
    const kind = lost.has(k) ? "missed" : "object";
    group.append(draw("path", { class: `${kind} under`, d: path }), draw("path", { class: kind, d: path }));
  });
  const boxes = detail(image).box;
  const scale = unit(image);
  for (const j of wrong) {
    if (shownOnly !== null && image.label[j] !== shownOnly) continue;
    const [x0, y0, x1, y1] = boxes.slice(4 * j, 4 * j + 4).map((value) => value * scale);
    const cross = `M${x0} ${y0}L${x1} ${y1}M${x1} ${y0}L${x0} ${y1}`;
    group.append(draw("path", { class: "false under", d: cross }), draw("path", { class: "false", d: cross }));
  }
  return group;
}

export const missedOf = (image) => (image.truth ? judged(image).missed.length : 0);
export const falseOf = (image) => (image.truth ? judged(image).wrong.size : 0);

function sums() {
  const found = { images: 0, right: 0, wrong: 0, missed: 0 };
  for (const image of images) {
    if (!image.truth) continue;
    const { right, wrong, missed } = judged(image);
    found.images++;
    found.right += right.size;
    found.wrong += wrong.size;
    found.missed += missed.length;
  }
  return found;
}

function refresh() {
  age++;
  const { images: count, right, wrong, missed } = sums();
  const share = (part, all) => (all ? short(part / all) : "\u2013");
  $("truth-line").textContent = `${right} true, ${counted(wrong, "false alarm", "false alarms")}, ${missed} missed in ${count} of ${counted(images.length, "image", "images")}; `
    + `precision ${share(right, right + wrong)}, recall ${share(right, right + missed)} (IoU ${head.iou})`;
}

export function startTruth() {
  document.querySelectorAll("[data-truth]").forEach((item) => (item.hidden = !known));
  if (!known) {
    document.querySelectorAll("option[data-truth]").forEach((item) => item.remove());
    return;
  }
  for (const image of images) {
    const given = image.truth;
    if (!given) continue;
    const pairs = new Map();
    for (let i = 0; i < given.pairs.length; i += 3) {
      const [j, k, iou] = given.pairs.slice(i, i + 3);
      pairs.set(j, [...(pairs.get(j) || []), [k, iou / MILLION]]);
    }
    image.truth = { label: given.label, crowd: new Set(given.crowd), pairs, of: new Set(given.classes) };
  }
  onChange(refresh);
  refresh();
}
