// The line that says what changed, or what went wrong.

import { $, counted, make } from "./base.js";
import { live } from "./live.js";

const LINKS = 3;
const says = { open: () => {}, undo: () => {} };

function show(kind, parts, canUndo) {
  $("status").className = `status ${kind}`;
  $("status").hidden = false;
  $("said").replaceChildren(...parts);
  $("status-undo").hidden = !canUndo;
}

export const sayError = (error) => show("bad", [error.message], false);
export const say = (text) => show("", [text], false);

// How something is done, which is said while it is done
export const hint = (text) => show("how", [text], false);
export function endHint() {
  if ($("status").classList.contains("how")) $("status").hidden = true;
}

const VERDICTS = { right: "Right", wrong: "Wrong", other: "Another class" };
function deedOf(event) {
  const words = {
    judge: () => (event.label && event.verdict === "other" ? `It is ${event.label}` : VERDICTS[event.verdict]),
    pick: () => (event.label === null ? "A negative exemplar" : `An exemplar of ${event.label}`),
    draw: () => (event.label === null ? "A negative exemplar was drawn" : `An exemplar of ${event.label} was drawn`),
    paste: () => (event.label === null ? "A picture of a negative" : `A picture of ${event.label}`),
    remove: () => "An exemplar was removed",
    add_class: () => `${event.label} is a class now`,
    rename_class: () => `${event.label} is ${event.to} now`,
    second_pass: () => `The second pass is ${event.on ? "on" : "off"}`,
    undo: () => "Undone",
    redo: () => "Done again",
  };
  return words[event.kind]();
}

function linkTo(i) {
  const row = live.images[i];
  const name = row ? row.name : `picture ${i}`;
  const link = make("button", { type: "button", class: "link", text: name.slice(name.lastIndexOf("/") + 1), title: name });
  link.addEventListener("click", () => says.open(i));
  return link;
}

function countsOf(counts) {
  return Object.entries(counts)
    .filter(([, [before, after]]) => before !== after)
    .map(([name, [before, after]]) => `${name} ${before.toLocaleString("en")} \u2192 ${after.toLocaleString("en")}`);
}

// What a change did: counts, and the pictures it did it in
export function sayChange(event, change) {
  const counts = countsOf(change.counts);
  const { changed } = change;
  const sum = counts.length ? counts.join(", ") : changed.length ? "as many as before, others than before" : "no detection changed";
  const parts = [make("span", { class: "deed", text: `${deedOf(event)}: ` }), make("b", { text: sum })];
  if (changed.length) {
    parts.push(` in ${counted(changed.length, "picture", "pictures")} `);
    const links = make("span", { class: "links" }, ...changed.slice(0, LINKS).flatMap(({ i }) => [linkTo(i), " "]));
    if (changed.length > LINKS) links.append(make("span", { text: `and ${(changed.length - LINKS).toLocaleString("en")} more` }));
    parts.push(links);
  }
  show("", parts, event.kind !== "undo");
}

export function connected(yes) {
  $("lost").hidden = yes;
}

// In the window of a picture the line is part of that: what lies below a window cannot be used
export function placeStatus(inside) {
  inside.append($("status"));
}

export function startSay(open, undo) {
  Object.assign(says, { open, undo });
  $("status-undo").addEventListener("click", () => says.undo());
  $("status-close").addEventListener("click", () => ($("status").hidden = true));
}
