// The gallery: which pictures, in which order, with what was found on them.

import { $, after, counted, dot, draw, make } from "./base.js";
import { names, numberOf } from "./classes.js";
import { classNames, imageAt, isTrouble, live, onLive } from "./live.js";
import { pictureOf } from "./api.js";
import { Grid } from "./grid.js";
import { layer, picture } from "./picture.js";
import { queue } from "./next.js";

const gallery = { grid: null, only: "", version: null, changes: null };
const UNITS = 1024;

const total = (row) => Object.values(row.counts).reduce((sum, count) => sum + count, 0);
const BY = {
  with: (row) => (gallery.only ? row.counts[gallery.only] > 0 : total(row) > 0),
  without: (row) => row.status !== "failed" && !(gallery.only ? row.counts[gallery.only] > 0 : total(row) > 0),
  changed: (row) => live.changes.has(row.i),
  open: (row) => row.status !== "failed" && row.judged < total(row),
  judged: (row) => row.judged > 0,
  failed: (row) => row.status === "failed",
};
const named = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.i - b.i);

function ranked(order) {
  if (order === "changed") return (row) => (live.changes.has(row.i) ? 0 : 1);
  if (order !== "next") return () => 0;
  const places = new Map();
  queue.items.forEach((item, place) => places.has(item.i) || places.set(item.i, place));
  return (row) => (places.has(row.i) ? places.get(row.i) : queue.items.length);
}

export function listed() {
  const text = $("find").value.trim().toLowerCase();
  const keep = BY[$("show").value];
  const rank = ranked($("order").value);
  gallery.only = $("class").value;
  return live.images
    .filter((row) => row && (!text || row.name.toLowerCase().includes(text)) && (!keep || keep(row)))
    .map((row) => [rank(row), row])
    .sort((a, b) => a[0] - b[0] || named(a[1], b[1]))
    .map(([, row]) => row);
}

export function relist() {
  if ($("gallery").hidden) return;
  const rows = listed();
  $("listed").textContent = counted(rows.length, "picture", "pictures");
  $("nothing").hidden = rows.length > 0;
  $("nothing").textContent = live.images.length ? "No picture is like that." : "There are no pictures yet.";
  gallery.grid.show(rows);
}

function nameParts(name) {
  const cut = name.lastIndexOf("/") + 1;
  const path = make("span", { class: "path", title: name });
  if (cut) path.append(make("i", { text: name.slice(0, cut) }));
  path.append(make("b", { text: name.slice(cut) }));
  return path;
}

const chip = (kind, ...parts) => make("span", { class: `chip ${kind}` }, ...parts);

function moves({ before, after: now }) {
  const found = [];
  for (const name of Object.keys({ ...before, ...now })) {
    const [was, is] = [before[name] || 0, now[name] || 0];
    if (was !== is) found.push(`${name} ${was} \u2192 ${is}`);
  }
  return found.length ? found : ["others than before"];
}

function label(card, row) {
  const button = card.firstChild;
  const second = make("span", { class: "chips" });
  const counts = Object.entries(row.counts).filter(([, count]) => count).sort((a, b) => numberOf(a[0]) - numberOf(b[0]));
  const change = live.changes.get(row.i);
  if (change) moves(change).forEach((text) => second.append(chip("mark moved", text)));
  if (row.status === "failed") second.append(chip("mark wrong", "failed"));
  else if (!counts.length) second.append(chip("", "no detections"));
  for (const [name, count] of counts) second.append(chip("", dot(numberOf(name)), `${name} ${count}`));
  if (row.judged) second.append(chip("mark right", `\u2713 ${row.judged}`));
  card.classList.toggle("moved", Boolean(change));
  button.setAttribute("aria-label", `${row.name}: ${[...second.children].map((part) => part.textContent).join(", ")}`);
  button.lastChild.replaceChildren(nameParts(row.name), second);
}

const everything = (image) => {
  const only = gallery.only;
  const hits = [...image.shown.keys()].filter((j) => image.shown[j] && (!only || names[image.label[j]] === only));
  return { hits, misses: [] };
};

// The picture stays where it is: only what lies on it is drawn anew
function drawn(frame, image) {
  const known = frame.querySelector("svg.whole");
  const over = layer(image, everything(image));
  if (known) known.lastChild.replaceWith(over);
  else {
    const made = picture(image, null, over);
    made.classList.add("whole");
    frame.replaceChildren(made);
  }
}

function blank(frame, row) {
  const scale = UNITS / Math.max(row.width, row.height, 1);
  const [width, height] = [row.width * scale, row.height * scale];
  const ground = draw("image", { href: pictureOf(row.i, 256), width, height, preserveAspectRatio: "none" });
  frame.replaceChildren(draw("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ground));
}

function failed(frame, row) {
  const known = live.state.failed.find((item) => item.name === row.name);
  const words = known ? [make("b", { text: known.code }), make("span", { text: known.message })] : [make("b", { text: "failed" })];
  frame.replaceChildren(make("span", { class: "blank" }, ...words));
}

async function fill(card, row) {
  label(card, row);
  const frame = card.firstChild.firstChild;
  card.dataset.i = row.i;
  if (row.status === "failed") {
    failed(frame, row);
    return;
  }
  if (!frame.firstChild || frame.dataset.of !== row.name) blank(frame, row);
  frame.dataset.of = row.name;
  try {
    const image = await imageAt(row.i);
    if (card.isConnected && frame.dataset.of === row.name) drawn(frame, image);
  } catch (error) {
    if (!isTrouble(error)) throw error; // the next change asks again
  }
}

const card = () => make("li", { class: "card" }, make("button", { type: "button", class: "open", tabindex: "-1" },
  make("span", { class: "pic" }), make("span", { class: "cap" })));

function shapeOfAll() {
  const shapes = live.images.filter((row) => row && row.width && row.height).map((row) => row.width / row.height).sort((a, b) => a - b);
  const middle = shapes.length ? shapes[shapes.length >> 1] : 1.25;
  document.documentElement.style.setProperty("--tile", Math.min(1.6, Math.max(0.8, middle)));
}

function fillClasses() {
  const known = ["", ...classNames()];
  const chosen = $("class").value;
  const same = known.length === $("class").options.length && known.every((name, i) => $("class").options[i].value === name);
  if (same) return;
  $("class").replaceChildren(...known.map((name) => make("option", { value: name, text: name || "All" })));
  $("class").value = known.includes(chosen) ? chosen : "";
}

export const gridOfPictures = () => gallery.grid;

// Only pictures that the last step changed
export function showChanged() {
  $("show").value = "changed";
  relist();
}

// open: shows a picture large, of those listed
export function startPictures(open) {
  gallery.grid = new Grid($("gallery"), { key: (row) => row.name, card, fill, open: (row) => open(row.i) });
  $("bar").addEventListener("submit", (event) => event.preventDefault());
  $("find").addEventListener("input", after(120, relist));
  $("bar").addEventListener("change", (event) => event.target !== $("find") && relist());
  $("more").addEventListener("click", () => {
    $("more").setAttribute("aria-expanded", String($("bar").classList.toggle("wide-open")));
  });
  onLive(() => {
    if ($("viewer").open) return; // what lies below the window is drawn when it closes
    if (gallery.version === live.version && gallery.changes === live.changes) return;
    Object.assign(gallery, { version: live.version, changes: live.changes });
    fillClasses();
    shapeOfAll();
    relist();
  });
}
