// The side: classes, exemplars of the current one, the second pass, and the command that repeats the page.

import { $, colourOf, counted, dot, make, minus } from "./base.js";
import { askClass } from "./ask.js";
import { numberOf } from "./classes.js";
import { act } from "./deeds.js";
import { byName, live, makeCurrent, onLive } from "./live.js";

const SOURCES = { file: "given", region: "clicked", box: "drawn", paste: "pasted", pseudo: "second pass" };
const side = { told: new Map(), open: () => {} };

// Drawn only where it differs, so that what has the focus keeps it
function fill(id, value, parts) {
  const text = JSON.stringify(value);
  if (side.told.get(id) === text) return;
  side.told.set(id, text);
  const held = $(id).contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  $(id).replaceChildren(...parts());
  if (held === undefined) return;
  const again = [...$(id).querySelectorAll("[data-key]")].find((item) => item.dataset.key === held);
  if (again) again.focus();
}

function radio(label, key) {
  const input = make("input", { type: "radio", name: "current", "data-key": `current ${key}` });
  input.checked = live.current === label;
  input.addEventListener("change", () => makeCurrent(label));
  return input;
}

function noteOf(item) {
  const none = item.min_score === null ? "no exemplar yet" : "unlike good parts";
  const parts = [make("span", { text: item.exemplars ? counted(item.exemplars, "exemplar", "exemplars") : none })];
  if (item.min_score !== null) parts.push(make("span", { text: `line at ${minus(item.min_score.toFixed(3))}` }));
  if (item.separates === false) parts.push(make("span", { class: "warn", text: "does not separate" }));
  return make("span", { class: "note" }, ...parts);
}

function classRow(item, i) {
  const key = i < 9 ? make("kbd", { text: String(i + 1) }) : "";
  const text = make("span", { class: "names" }, make("span", { class: "title", text: item.name, title: item.name }), noteOf(item));
  const label = make("label", {}, radio(item.name, item.name), dot(numberOf(item.name)), text,
    make("span", { class: "count", text: item.count.toLocaleString("en"), "aria-label": counted(item.count, "detection", "detections") }));
  const edit = make("button", { type: "button", class: "plain small edit", "data-key": `edit ${item.name}`, "aria-label": `Rename or merge ${item.name}`, text: "\u22ef" });
  edit.addEventListener("click", () => askClass(item.name));
  const row = make("li", { class: "row", role: "presentation", draggable: "true", "data-class": item.name }, label, key, edit);
  row.style.setProperty("--own", colourOf(numberOf(item.name)));
  dragging(row, item.name);
  return row;
}

// One class dropped on another asks whether both are one
function dragging(row, name) {
  row.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/x-searchdet-class", name));
  row.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("text/x-searchdet-class")) event.preventDefault();
  });
  row.addEventListener("drop", (event) => {
    const from = event.dataTransfer.getData("text/x-searchdet-class");
    if (!from || from === name) return;
    event.preventDefault();
    askClass(from, name);
  });
}

function negativeRow() {
  const text = make("span", { class: "names" }, make("span", { class: "title", text: "None of them" }),
    make("span", { class: "note", text: counted(live.state.negatives, "negative exemplar", "negative exemplars") }));
  return make("li", { class: "row", role: "presentation" }, make("label", {}, radio(null, ""), make("i", { class: "dot none", "aria-hidden": "true" }), text));
}

function classes() {
  const { classes: items, negatives } = live.state;
  fill("classes", [items, negatives, live.current], () => [...items.map(classRow), negativeRow()]);
}

// +0.031: what the lead of the others of its class would lose without it
const helpOf = ({ help }) => (help === null || help === undefined ? "" : `${help > 0 ? "+" : ""}${minus(help.toFixed(3))}`);

function imageOf(name) {
  const cut = name.lastIndexOf("#");
  const row = cut < 0 ? undefined : byName(name.slice(0, cut));
  if (!row) return null;
  const number = name.slice(cut + 1);
  return { i: row.i, row: /^\d+$/.test(number) ? Number(number) : null };
}

function exemplar(item) {
  const pseudo = item.source === "pseudo";
  const place = imageOf(item.name);
  const inside = item.picture ? make("img", { src: item.picture, alt: "", loading: "lazy", decoding: "async" }) : make("span", { class: "blank", text: "no picture" });
  const frame = make(place ? "button" : "span", { class: "frame-box", title: item.name, ...(place ? { type: "button", "data-key": `see ${item.id}`, "aria-label": `Show ${item.name}` } : {}) }, inside);
  if (place) frame.addEventListener("click", () => side.open(place));
  const help = helpOf(item);
  const words = make("span", { class: "num", text: help || SOURCES[item.source], title: help ? "How much it helps" : "" });
  const parts = [frame, make("span", { class: "under" }, words)];
  if (!pseudo) {
    const gone = make("button", { type: "button", class: "plain small gone", text: "\u2715", "data-key": `gone ${item.id}`, "aria-label": `Remove ${item.name}` });
    gone.addEventListener("click", () => act({ kind: "remove", exemplar: item.name }));
    parts.push(gone);
  }
  return make("li", { class: pseudo ? "exemplar pseudo" : "exemplar", title: `${item.name}, ${SOURCES[item.source]}` }, ...parts);
}

function exemplars() {
  const mine = live.current === undefined ? [] : live.state.exemplars.filter((item) => item.label === live.current);
  const of = live.current === undefined ? "Exemplars" : live.current === null ? "Negative exemplars" : `Exemplars of ${live.current}`;
  $("exemplars-title").textContent = of;
  $("exemplars-none").hidden = mine.length > 0;
  fill("exemplars", mine, () => mine.map(exemplar));
}

function secondPass() {
  const { on, exemplars: count, gained, lost } = live.state.second_pass;
  $("second").checked = on;
  const effect = `${counted(count, "more exemplar", "more exemplars")}: ${gained.toLocaleString("en")} gained, ${lost.toLocaleString("en")} lost`;
  $("second-effect").textContent = on ? effect : "Sure detections become exemplars, for this page only.";
}

function failed() {
  const items = live.state.failed;
  $("failed-part").hidden = !items.length;
  $("failed-title").textContent = counted(items.length, "picture could not be used", "pictures could not be used");
  fill("failed", items, () => items.map(({ name, code, message }) =>
    make("li", {}, make("b", { text: name }), make("span", { text: `${code}: ${message}` }))));
}

async function copy(button) {
  const text = $("command").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren($("command")); // no clipboard here: the old way
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function top() {
  const all = live.state.classes.reduce((sum, item) => sum + item.count, 0);
  const rows = live.images.filter(Boolean);
  const having = rows.filter((row) => Object.values(row.counts).some(Boolean)).length;
  $("total").textContent = all.toLocaleString("en");
  $("total-words").textContent = `${all === 1 ? "detection" : "detections"} in ${having.toLocaleString("en")} of ${counted(rows.length, "picture", "pictures")}`;
  const { done, total, failed: unread, undo, redo } = live.state;
  $("indexing").hidden = done + unread.length >= total;
  $("indexed").max = Math.max(total, 1);
  $("indexed").value = done;
  $("indexed-words").textContent = `${done.toLocaleString("en")} of ${total.toLocaleString("en")} read`;
  for (const [name, what] of [["undo", undo], ["redo", redo]]) {
    document.querySelectorAll(`[data-${name}]`).forEach((button) => {
      button.disabled = what === null;
      button.title = what || "";
    });
  }
}

function review() {
  const { judged, left, quiet, stop } = live.state.review;
  $("review-words").textContent = `${judged.toLocaleString("en")} judged, ${left.toLocaleString("en")} in doubt`;
  const calm = quiet ? `The last ${quiet} verdicts changed no other detection.` : "";
  $("review-hint").textContent = stop ? `${calm} You can stop here.`.trim() : quiet > 2 ? calm : "";
  $("judged").max = Math.max(judged + left, 1);
  $("judged").value = judged;
}

function currentSelect() {
  const known = [...live.state.classes.map((item) => item.name), null];
  fill("current", [known, live.current], () => known.map((name, i) => {
    const option = make("option", { value: i, text: name === null ? "None of them" : name });
    option.selected = name === live.current;
    return option;
  }));
}

export function toggleSide(out) {
  $("side").classList.toggle("out", out);
  $("side-button").setAttribute("aria-expanded", String(out));
}

// open: shows a picture { i, row } large
export function startSide(open) {
  side.open = open;
  onLive(() => [top, classes, exemplars, secondPass, failed, review, currentSelect].forEach((call) => call()));
  onLive(() => {
    $("command").textContent = live.state.command;
    $("command-part").hidden = !live.state.command; // as long as there is nothing to search for
  });
  $("add-class").addEventListener("click", () => askClass(null));
  $("second").addEventListener("change", () => act({ kind: "second_pass", on: $("second").checked }));
  $("copy").addEventListener("click", () => copy($("copy")));
  $("side-button").addEventListener("click", () => toggleSide(!$("side").classList.contains("out")));
  $("current").addEventListener("change", () => {
    const item = live.state.classes[Number($("current").value)];
    makeCurrent(item ? item.name : null);
  });
}
