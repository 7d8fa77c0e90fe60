// Pictures with what was found on them. Details of an image are read when it comes into view.

import { colourOf, draw } from "./base.js";
import { slack } from "./image.js";

const KEPT_DETAILS = 120;
const details = new Map();

export function detail(image) {
  let found = details.get(image);
  if (found === undefined) {
    found = image.page.detail(image);
    found.path = [];
    if (details.size >= KEPT_DETAILS) details.delete(details.keys().next().value);
  } else {
    details.delete(image);
  }
  details.set(image, found);
  return found;
}

const LETTERS = new Uint8Array(128);
[..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"].forEach(
  (letter, value) => (LETTERS[letter.charCodeAt(0)] = value),
);

// Five bits a character, low first; bit 5 says that more follow; the lowest bit of a number is its sign.
function unpacked(text) {
  const found = [];
  let value = 0;
  let shift = 0;
  for (let i = 0; i < text.length; i++) {
    const bits = LETTERS[text.charCodeAt(i)];
    value |= (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    found.push(value & 1 ? -((value + 1) >> 1) : value >> 1);
    value = shift = 0;
  }
  return found;
}

// fine: steps in a unit
export function pathOfOutline(text, fine) {
  const list = unpacked(text);
  let path = "";
  for (let i = 0; i < list.length; ) {
    const corners = list[i++];
    path += `M${list[i] / fine} ${list[i + 1] / fine}`;
    i += 2;
    path += corners > 1 ? "l" : "h1";
    for (let k = 1; k < corners; k++, i += 2) path += `${list[i] / fine} ${list[i + 1] / fine} `;
    path += "z";
  }
  return path;
}

// Units a pixel of an image
export const unit = (image) => image.page.units / Math.max(...image.size, 1);

// x, y, width and height, in units, of one of the boxes of an image
export function within(image, boxes, j) {
  const [x0, y0, x1, y1] = boxes.slice(4 * j, 4 * j + 4);
  const scale = unit(image);
  return [x0 * scale, y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale];
}

export const boxOf = (image, j) => within(image, detail(image).box, j);

export function pathOfBox(box) {
  const [x, y, width, height] = box.map((value) => Math.round(value * 100) / 100);
  return `M${x} ${y}h${width}v${height}h${-width}z`;
}

export function pathOf(image, j) {
  const known = detail(image);
  if (known.path[j] === undefined) {
    const outline = known.outline[j];
    known.path[j] = outline ? pathOfOutline(outline, image.fine) : pathOfBox(boxOf(image, j));
  }
  return known.path[j];
}

// The same for an object of the ground truth
export function objectPath(image, k) {
  const { object, objectBox } = detail(image);
  return object[k] ? pathOfOutline(object[k], image.fine) : pathOfBox(within(image, objectBox, k));
}

export const extent = (image) => image.size.map((side) => side * unit(image));

// An <svg> of the picture, or of a part of it: view is x, y, width, height in units.
export function picture(image, view, ...over) {
  const [width, height] = extent(image);
  const box = view || [0, 0, width, height];
  const address = image.page.ground(image, view);
  const ground = address
    ? draw("image", { href: address, width, height, preserveAspectRatio: "none" })
    : draw("rect", { class: "ground", width, height });
  const full = image.full ? [draw("g", { class: "tiles" })] : [];
  return draw("svg", { viewBox: box.join(" "), "aria-hidden": "true" }, ground, ...full, ...over);
}

// The view around a candidate's box, of a certain shape, inside the picture where it fits
export function around(image, j, shape) {
  const [x, y, width, height] = boxOf(image, j);
  const [whole, tall] = extent(image);
  let wide = Math.max(width * 1.7, height * 1.7 * shape, 70 / image.fine);
  wide = Math.min(wide, Math.max(whole, tall * shape));
  const high = wide / shape;
  const place = (middle, part, all) => (part >= all ? (all - part) / 2 : Math.min(Math.max(0, middle - part / 2), all - part));
  return [place(x + width / 2, wide, whole), place(y + height / 2, high, tall), wide, high];
}

const NEAR_MISS = 0.1;

// Candidates to list: accepted ones, and rejected ones as the page is set
export function visible(image, { only, rejected, low, high }) {
  const found = { hits: [], misses: [] };
  for (let j = 0; j < image.shown.length; j++) {
    if (only !== null && image.label[j] !== only) continue;
    if (image.score[j] < low || image.score[j] > high) continue;
    if (image.shown[j]) found.hits.push(j);
    else if (rejected === "all" || (rejected === "near" && nearMiss(image, j))) found.misses.push(j);
  }
  return found;
}

// Of the rejected ones only near misses are drawn: hundreds of frames would hide the picture
export const drawable = (image, seen) => ({ hits: seen.hits, misses: seen.misses.filter((j) => nearMiss(image, j)) });

export const nearMiss = (image, j) => !image.lost.has(j) && slack(image, j) >= -NEAR_MISS;

// All masks of a picture as few paths: one a class and kind, with a dark rim below
export function layer(image, seen) {
  const group = draw("g");
  const paths = new Map();
  const collect = (list, kind) => {
    for (const j of list) {
      const key = `${kind} ${image.label[j]}`;
      paths.set(key, (paths.get(key) || "") + pathOf(image, j));
    }
  };
  collect(seen.misses, "miss");
  collect(seen.hits, "mask");
  for (const [key, path] of paths) {
    const [kind, label] = key.split(" ");
    group.append(...strokes(kind, path, Number(label)));
  }
  return group;
}

export function strokes(kind, path, label) {
  const colour = colourOf(label);
  const rim = draw("path", { class: kind === "mask" ? "halo" : "miss under", d: path });
  const line = draw("path", { class: kind, d: path, stroke: colour });
  if (kind === "mask") line.setAttribute("fill", colour);
  return [rim, line];
}
