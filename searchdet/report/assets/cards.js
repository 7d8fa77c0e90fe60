// What stands below a picture of the gallery.

import { dot, make, short } from "./base.js";
import { words } from "./review.js";
import { classes } from "./state.js";
import { falseOf, missedOf, wordOf } from "./truth.js";
import { verdictOf } from "./verdicts.js";

function nameParts(name) {
  const cut = name.lastIndexOf("/") + 1;
  const path = make("span", { class: "path", title: name });
  if (cut) path.append(make("i", { text: name.slice(0, cut) }));
  path.append(make("b", { text: name.slice(cut) }));
  return path;
}

function chipsOf(image) {
  const counts = new Map();
  for (let j = 0; j < image.shown.length; j++) {
    if (image.shown[j]) counts.set(image.label[j], (counts.get(image.label[j]) || 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

const chip = (...parts) => make("span", { class: "chip" }, ...parts);
const mark = (text, kind) => make("span", { class: `chip mark ${kind}`, text });

function ofOne(image, j, second) {
  const label = image.label[j];
  const state = image.shown[j] ? "" : "rejected, ";
  const said = words(verdictOf(image, j));
  const word = wordOf(image, j);
  if (said) second.append(mark(said, verdictOf(image, j).verdict));
  second.append(chip(dot(label), `${classes[label]} ${short(image.score[j])}`));
  if (state) second.append(chip("rejected"));
  if (word) second.append(mark(word, word === "true" ? "right" : "wrong"));
  return `${classes[label]} ${short(image.score[j])}, ${state}${[said, word].filter(Boolean).map((text) => `${text}, `).join("")}in ${image.name}`;
}

function ofAll(image, second) {
  const counts = chipsOf(image);
  const judged = [...image.shown.keys()].filter((j) => image.shown[j] && image.verdicts.has(j)).length;
  if (judged) second.append(mark(judged === image.count ? "\u2713 judged" : `${judged} of ${image.count} judged`, "right"));
  for (const [c, n] of counts) {
    const part = chip(dot(c), `${classes[c]} ${n}`);
    part.title = `${classes[c]}: ${n}`;
    second.append(part);
  }
  if (!counts.length) second.append(chip("no detections"));
  const [wrong, missed] = [falseOf(image), missedOf(image)];
  if (wrong) second.append(mark(`${wrong} false`, "wrong"));
  if (missed) second.append(mark(`${missed} missed`, "missing"));
  const more = [wrong ? `, ${wrong} false alarms` : "", missed ? `, ${missed} missed` : ""].join("");
  return `${image.name}, ${counts.map(([c, n]) => `${n} ${classes[c]}`).join(", ") || "no detections"}${more}`;
}

export function label(card, item) {
  const { image, j } = item;
  const button = card.firstChild;
  const second = make("span", { class: "chips" });
  let said;
  if (image.failed) {
    said = `${image.name}, failed`;
    second.append(chip("failed"));
  } else said = j >= 0 ? ofOne(image, j, second) : ofAll(image, second);
  button.setAttribute("aria-label", said);
  button.lastChild.replaceChildren(nameParts(image.name), second);
}
