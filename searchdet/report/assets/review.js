// Verdicts by button and key, their progress, and their file.

import { $, counted, make } from "./base.js";
import { classes, onChange } from "./state.js";
import { canUndo, fileText, judge, keeping, onVerdict, OTHER, progress, RIGHT, takeFile, undo, verdictOf, WRONG } from "./verdicts.js";

const NEW = "+";
// What the window tells: the chosen candidate, and what comes after a verdict on it
const review = { chosen: () => null, next: () => {}, back: () => {} };

export const MARKS = { right: "\u2713", wrong: "\u2717", other: "\u2192" };
export function words(said) {
  return said === null ? "" : `${MARKS[said.verdict]} ${said.verdict === OTHER ? said.label : said.verdict}`;
}

function say(verdict, label) {
  const at = review.chosen();
  if (at && judge(at.image, at.j, verdict, label)) review.next(at);
}

// A class by its number: its own is right, another one is other
function sayClass(name) {
  const at = review.chosen();
  if (!at || name === undefined) return;
  if (name === classes[at.image.label[at.j]]) say(RIGHT);
  else say(OTHER, name);
}

function takeBack() {
  const step = undo();
  if (step) review.back(step);
}

export const keys = {
  r: () => say(RIGHT), w: () => say(WRONG), u: takeBack, o: () => $("other").focus(),
  Delete: () => say(null), Backspace: () => say(null),
};
for (let number = 1; number <= 9; number++) keys[number] = () => sayClass(classes[number - 1]);

function fillOther() {
  const number = (i) => (i < 9 ? `${i + 1} ` : "");
  $("other").append(
    make("option", { value: "", text: "Other class\u2026" }),
    ...classes.map((name, i) => make("option", { value: `c${i}`, text: `${number(i)}${name}` })),
    make("option", { value: NEW, text: "A new class\u2026" }),
  );
}

// The bar as the chosen candidate has it
export function refreshReview() {
  const at = review.chosen();
  const said = at && verdictOf(at.image, at.j);
  for (const [id, verdict] of [["right", RIGHT], ["wrong", WRONG]]) {
    $(id).setAttribute("aria-pressed", String(Boolean(said) && said.verdict === verdict));
    $(id).disabled = !at;
  }
  const other = said && said.verdict === OTHER ? said.label : null;
  const i = other === null ? -1 : classes.indexOf(other);
  $("other").value = other === null ? "" : i >= 0 ? `c${i}` : NEW;
  $("other").classList.toggle("set", other !== null);
  $("other").disabled = !at;
  $("new-class").hidden = other === null || i >= 0;
  if (other !== null && i < 0) $("new-name").value = other;
  for (const option of $("other").options) option.disabled = Boolean(at) && option.value === `c${at.image.label[at.j]}`;
  refreshProgress();
}

function refreshProgress() {
  const { judged, detections, verdicts } = progress();
  const more = verdicts - judged;
  const text = `${judged.toLocaleString("en")} of ${counted(detections, "detection", "detections")} judged`;
  document.querySelectorAll("[data-progress]").forEach((item) => (item.textContent = text));
  $("judged").max = Math.max(detections, 1);
  $("judged").value = judged;
  $("verdict-note").textContent = [more ? `${more} more verdicts on what is not shown as a detection.` : "", keeping.trouble].filter(Boolean).join(" ");
  document.querySelectorAll("[data-undo]").forEach((button) => (button.disabled = !canUndo()));
  $("save").disabled = !verdicts;
}

function save() {
  const address = URL.createObjectURL(new Blob([fileText()], { type: "application/json" }));
  const link = make("a", { href: address, download: "verdicts.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function read(input) {
  const file = input.files[0];
  if (!file) return;
  let told;
  try {
    const { count, strange } = takeFile(await file.text());
    told = `${counted(count, "verdict", "verdicts")} of ${file.name} taken.`;
    if (strange) told += ` ${counted(strange, "is", "are")} not of these records, and left out.`;
  } catch (error) {
    told = `${file.name} cannot be used: ${error.message}. Choose a file that this page saved.`;
  }
  input.value = "";
  $("verdict-note").textContent = told;
}

export function startReview(chosen, next, back) {
  Object.assign(review, { chosen, next, back });
  fillOther();
  $("right").addEventListener("click", () => say(RIGHT));
  $("wrong").addEventListener("click", () => say(WRONG));
  document.querySelectorAll("[data-undo]").forEach((button) => button.addEventListener("click", takeBack));
  $("other").addEventListener("change", () => {
    const value = $("other").value;
    if (value === NEW) {
      $("new-class").hidden = false;
      $("new-name").value = "";
      $("new-name").focus();
    } else if (value) {
      sayClass(classes[Number(value.slice(1))]);
      $("list").focus({ preventScroll: true });
    }
  });
  $("new-class").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("new-name").value.trim();
    if (!name) return;
    sayClass(name);
    $("list").focus({ preventScroll: true });
  });
  $("save").addEventListener("click", save);
  $("read").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => read($("file")));
  onVerdict(refreshReview);
  onChange(refreshProgress);
  refreshReview();
}
