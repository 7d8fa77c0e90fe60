// The gallery: which images or single candidates, in which order; drawn only near the window.

import { $, after, counted, make } from "./base.js";
import { label } from "./cards.js";
import { slack } from "./image.js";
import { around, detail, drawable, layer, pathOf, picture, visible } from "./picture.js";
import { images } from "./state.js";
import { drawTiles } from "./tiles.js";
import { falseOf, missedOf, truthLayer, wordOf } from "./truth.js";
import { unjudged } from "./verdicts.js";

const BATCH = 120;
const CARD = 260; // pixels of the screen, about, that a card is wide
export const gallery = { items: [], cards: [], made: 0, current: 0, shape: 1.25 };
const byCard = new WeakMap();

// A number field; what is empty or no number bounds nothing
function bound(id, otherwise) {
  const value = $(id).valueAsNumber;
  return Number.isNaN(value) ? otherwise : value;
}

const BY = {
  failed: (image) => image.failed,
  changed: (image) => image.changed,
  open: (image) => image.shown.some((_, j) => unjudged(image, j)),
  judged: (image) => image.verdicts.size > 0,
  false: (image) => falseOf(image) > 0,
  missed: (image) => missedOf(image) > 0,
};
// The same for single candidates; what is not here is the same for all of an image
const BY_ONE = {
  changed: (image, j) => Boolean(image.shown[j]) !== j < image.accepted,
  open: unjudged,
  judged: (image, j) => image.verdicts.has(j),
  false: (image, j) => wordOf(image, j) === "false alarm",
};

export function settings() {
  const only = $("class").value;
  return {
    text: $("find").value.trim().toLowerCase(),
    status: $("status").value,
    only: only === "" ? null : Number(only),
    order: $("order").value,
    rejected: $("rejected").value,
    low: bound("low", -Infinity),
    high: bound("high", Infinity),
    truth: $("truth").checked,
    single: document.querySelector("input[name=view]:checked").value === "single",
  };
}

function wanted(image, chosen) {
  if (chosen.text && !image.name.toLowerCase().includes(chosen.text)) return false;
  if (BY[chosen.status] && !BY[chosen.status](image)) return false;
  if (chosen.status === "failed" || chosen.status === "missed") return true;
  const { hits, misses } = visible(image, chosen);
  if (chosen.status === "with") return hits.length > 0;
  if (chosen.status === "without") return !image.failed && hits.length === 0;
  const every = chosen.only === null && chosen.low === -Infinity && chosen.high === Infinity;
  return every || hits.length + misses.length > 0;
}

function rank(image, chosen) {
  let best = -Infinity;
  let doubt = Infinity;
  let other = -Infinity;
  for (let j = 0; j < image.shown.length; j++) {
    if (chosen.only !== null && image.label[j] !== chosen.only) continue;
    const score = image.score[j];
    if (image.shown[j] && score > best) best = score;
    if (score > other) other = score;
    if (!image.lost.has(j)) doubt = Math.min(doubt, Math.abs(slack(image, j)));
  }
  // images with detections first, then by what came closest
  return { best: best > -Infinity ? best : other - 10, doubt };
}

function listed(chosen) {
  const items = [];
  for (const image of images) {
    if (!wanted(image, chosen)) continue;
    if (!chosen.single) {
      items.push({ image, j: -1, ...(chosen.order === "name" ? {} : rank(image, chosen)) });
      continue;
    }
    const { hits, misses } = visible(image, chosen);
    for (const j of [...hits, ...misses].sort((a, b) => image.score[b] - image.score[a])) {
      if (BY_ONE[chosen.status] && !BY_ONE[chosen.status](image, j)) continue;
      items.push({ image, j, best: image.score[j], doubt: Math.abs(slack(image, j)) });
    }
  }
  if (chosen.order === "best") items.sort((a, b) => b.best - a.best || a.image.index - b.image.index);
  if (chosen.order === "doubt") items.sort((a, b) => (a.doubt === b.doubt ? a.image.index - b.image.index : a.doubt - b.doubt));
  return items;
}

export const keyOf = (item) => `${item.image.index}/${item.j}`;

export function relist() {
  const chosen = settings();
  const items = listed(chosen);
  const same = items.length === gallery.items.length && items.every((item, i) => keyOf(item) === keyOf(gallery.items[i]));
  const words = chosen.single ? ["candidate", "candidates"] : ["image", "images"];
  $("listed").textContent = counted(items.length, ...words);
  $("nothing").hidden = items.length > 0;
  $("nothing").textContent = chosen.single ? "No candidate is like that." : "No image is like that.";
  if (same) {
    redraw(false);
    return;
  }
  const held = gallery.items[gallery.current];
  const focused = $("gallery").contains(document.activeElement);
  gallery.cards.forEach((card) => near.unobserve(card));
  Object.assign(gallery, { items, cards: [], made: 0, current: 0 });
  $("gallery").replaceChildren();
  grow(BATCH);
  const again = held && items.findIndex((item) => keyOf(item) === keyOf(held));
  if (again > 0) makeCurrent(again, focused);
  else if (items.length) makeCurrent(0, focused);
}

function grow(upTo) {
  const last = Math.min(gallery.items.length, Math.max(upTo, gallery.made));
  const fresh = [];
  for (let i = gallery.made; i < last; i++) {
    const card = make("li", { class: "card" }, make("button", { type: "button", class: "open", tabindex: "-1" },
      make("span", { class: "pic" }), make("span", { class: "cap" })));
    byCard.set(card, i);
    gallery.cards.push(card);
    fresh.push(card);
  }
  gallery.made = last;
  $("gallery").append(...fresh);
  fresh.forEach((card, i) => {
    label(card, gallery.items[last - fresh.length + i]);
    near.observe(card);
  });
}

function layers(image, seen, chosen) {
  const group = layer(image, seen);
  if (chosen.truth) group.append(truthLayer(image, chosen.only));
  return group;
}

function fill(card) {
  const item = gallery.items[byCard.get(card)];
  const { image, j } = item;
  const frame = card.firstChild.firstChild;
  if (image.failed) {
    const blank = make("span", { class: "blank" });
    blank.append(make("b", { text: image.error[0] }), make("span", { text: image.error[1] }));
    frame.replaceChildren(blank);
    return;
  }
  const chosen = settings();
  let seen = drawable(image, visible(image, chosen));
  if (j >= 0) seen = { hits: seen.hits.filter((k) => k === j), misses: image.shown[j] ? [] : [j] };
  const known = frame.querySelector("svg");
  if (known) {
    known.lastChild.replaceWith(layers(image, seen, chosen));
    return;
  }
  const view = j >= 0 ? around(image, j, gallery.shape) : null;
  const drawn = picture(image, view, layers(image, seen, chosen));
  frame.replaceChildren(drawn);
  if (view) drawTiles(drawn, image, view, CARD / view[2]);
  if (image.page.ground(image) === null) frame.append(make("span", { class: "blank", text: image.name }));
}

const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!target.isConnected) continue; // listed anew since it was seen
      target.toggleAttribute("data-near", isIntersecting);
      if (isIntersecting) fill(target);
      else target.firstChild.firstChild.replaceChildren();
    }
  },
  { rootMargin: "500px 0px" },
);
const end = new IntersectionObserver(
  (entries) => {
    if (entries.some((entry) => entry.isIntersecting)) grow(gallery.made + BATCH);
  },
  { rootMargin: "1500px 0px" },
);

// Cards near the window again; while a slider moves, those in it are enough
export function redraw(inWindow) {
  $("gallery").querySelectorAll("[data-near]").forEach((card) => {
    if (inWindow) {
      const place = card.getBoundingClientRect();
      if (place.bottom < 0 || place.top > innerHeight) return;
    }
    label(card, gallery.items[byCard.get(card)]);
    fill(card);
  });
}

export function makeCurrent(i, focus) {
  const before = gallery.cards[gallery.current];
  if (before) before.firstChild.tabIndex = -1;
  gallery.current = i;
  if (i >= gallery.made) grow(i + BATCH);
  const button = gallery.cards[i].firstChild;
  button.tabIndex = 0;
  if (focus) button.focus();
}

function columns() {
  const top = gallery.cards[0].offsetTop;
  const next = gallery.cards.findIndex((card) => card.offsetTop !== top);
  return next < 0 ? gallery.cards.length : next;
}

function moved(key) {
  const last = gallery.items.length - 1;
  const i = gallery.current;
  const row = columns();
  const to = { ArrowRight: i + 1, ArrowLeft: i - 1, ArrowDown: i + row, ArrowUp: i - row, Home: 0, End: last }[key];
  return to === undefined || to < 0 || to > last ? null : to;
}

// The accepted or drawn candidate under the pointer, the smallest of several; -1 for none
const pen = document.createElement("canvas").getContext("2d");
function hit(image, svg, event, seen) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const areas = detail(image).area;
  const { hits, misses } = drawable(image, seen);
  const under = [...hits, ...misses].filter((j) => pen.isPointInPath(new Path2D(pathOf(image, j)), at.x, at.y));
  return under.length ? under.reduce((a, b) => (areas[b] < areas[a] ? b : a)) : -1;
}

// open: shows one item large, and a candidate of it
export function startGallery(open) {
  const shapes = images.filter((image) => !image.failed).map((image) => image.size[0] / image.size[1]).sort((a, b) => a - b);
  if (shapes.length) gallery.shape = Math.min(1.6, Math.max(0.8, shapes[shapes.length >> 1]));
  document.documentElement.style.setProperty("--tile", gallery.shape);
  $("more").addEventListener("click", () => {
    $("more").setAttribute("aria-expanded", String($("bar").classList.toggle("wide-open")));
  });
  $("bar").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["find", "low", "high"]) $(id).addEventListener("input", after(120, relist));
  $("bar").addEventListener("change", (event) => !["find", "low", "high"].includes(event.target.id) && relist());
  $("view").addEventListener("change", relist);
  $("truth").addEventListener("change", () => redraw(false));
  $("gallery").addEventListener("keydown", (event) => {
    const to = gallery.items.length && !event.altKey && !event.ctrlKey && !event.metaKey ? moved(event.key) : null;
    if (to === null) return;
    event.preventDefault();
    makeCurrent(to, true);
    gallery.cards[to].scrollIntoView({ block: "nearest" });
  });
  $("gallery").addEventListener("click", (event) => {
    const card = event.target.closest(".card");
    if (!card) return;
    const i = byCard.get(card);
    const { image, j } = gallery.items[i];
    makeCurrent(i, true);
    const drawn = card.querySelector("svg");
    const chosen = settings();
    const pointed = j < 0 && drawn && event.detail > 0; // a click, not Enter
    open(i, pointed ? hit(image, drawn, event, visible(image, chosen)) : j);
  });
  end.observe($("end"));
  relist();
}
