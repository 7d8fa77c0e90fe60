// What a person says of candidates: kept in the browser, saved to a file, read from one, and undone.

import { classes, images } from "./state.js";

export const RIGHT = "right";
export const WRONG = "wrong";
export const OTHER = "other";
const SCHEMA = "searchdet.verdicts/1";
const LONGEST_NAME = 200;
const BREAKS = /[\p{Cc}\p{Zl}\p{Zp}]/u; // controls and ends of lines, in no name
const past = [];
const listeners = [];
export const keeping = { trouble: "" };

// By the image and its settings, so that a page that is made again finds them, and one of another run does not
const placeOf = (image) => `searchdet.verdicts/1 ${image.settings} ${image.sha256} ${image.name}`;

export const verdictOf = (image, j) => image.verdicts.get(j) || null;

export function onVerdict(call) {
  listeners.push(call);
}

function told() {
  listeners.forEach((call) => call());
}

function keep(image) {
  const list = [...image.verdicts].map(([j, said]) => [image.id[j], said.verdict, said.label]);
  try {
    if (list.length) localStorage.setItem(placeOf(image), JSON.stringify(list));
    else localStorage.removeItem(placeOf(image));
    keeping.trouble = "";
  } catch {
    keeping.trouble = "This browser keeps nothing for this page: save the verdicts before you leave.";
  }
}

const isName = (label) => typeof label === "string" && label !== "" && label.length <= LONGEST_NAME &&
  label.trim() === label && !BREAKS.test(label);

// A verdict is right (of its own class), wrong, or other (of the class `label`)
function sound(image, j, verdict, label) {
  const own = classes[image.label[j]];
  if (verdict === WRONG) return label === null;
  return verdict === RIGHT ? label === own : verdict === OTHER && label !== own && isName(label);
}

function restore(image) {
  let text;
  try {
    text = localStorage.getItem(placeOf(image));
  } catch {
    keeping.trouble = "This browser keeps nothing for this page: save the verdicts before you leave.";
    return;
  }
  if (text === null) return;
  try {
    for (const [id, verdict, label] of JSON.parse(text)) {
      const j = image.id.indexOf(id);
      if (j < 0 || !sound(image, j, verdict, label)) throw new TypeError("no verdict");
      image.verdicts.set(j, { verdict, label });
    }
  } catch {
    keeping.trouble = "Some verdicts that the browser kept cannot be read, and are left out.";
  }
}

// The class of a verdict on a candidate: its own where it is right
export function judge(image, j, verdict, label) {
  const before = verdictOf(image, j);
  const name = verdict === RIGHT ? classes[image.label[j]] : verdict === WRONG ? null : label;
  if (verdict !== null && !sound(image, j, verdict, name)) return false;
  past.push({ image, j, before });
  put(image, j, verdict === null ? null : { verdict, label: name });
  return true;
}

function put(image, j, said) {
  if (said === null) image.verdicts.delete(j);
  else image.verdicts.set(j, said);
  keep(image);
  told();
}

export const canUndo = () => past.length > 0;

// Takes the last verdict back, and says where it was
export function undo() {
  const step = past.pop();
  if (!step) return null;
  put(step.image, step.j, step.before);
  return step;
}

// How many of the detections that are shown have a verdict, and how many verdicts there are in all
export function progress() {
  const found = { judged: 0, detections: 0, verdicts: 0 };
  for (const image of images) {
    found.verdicts += image.verdicts.size;
    for (let j = 0; j < image.shown.length; j++) {
      if (!image.shown[j]) continue;
      found.detections++;
      if (image.verdicts.has(j)) found.judged++;
    }
  }
  return found;
}

export const unjudged = (image, j) => Boolean(image.shown[j]) && !image.verdicts.has(j);

// The text of the file, in the order of the page, so that equal verdicts give equal files
export function fileText() {
  const rows = [];
  for (const image of images) {
    const order = [...image.verdicts.keys()].sort((a, b) => image.id[a] - image.id[b]);
    for (const j of order) {
      const { verdict, label } = image.verdicts.get(j);
      const what = { candidate: image.id[j], predicted: classes[image.label[j]], verdict, label };
      rows.push({ image: image.name, sha256: image.sha256, settings_sha256: image.settings, ...what });
    }
  }
  const lines = rows.map((row) => `  ${JSON.stringify(row)}`).join(",\n");
  return `{\n "schema": "${SCHEMA}",\n "verdicts": [${lines ? `\n${lines}\n ` : ""}]\n}\n`;
}

// Takes over what a file says of the images of this page. Throws an Error that says what is wrong with it.
export function takeFile(text) {
  const value = parsed(text);
  const known = new Map(images.map((image) => [image.name, image]));
  const taken = new Map();
  let strange = 0;
  for (const row of value.verdicts) {
    const image = row === null ? undefined : known.get(row.image);
    const fits = image && image.sha256 === row.sha256 && image.settings === row.settings_sha256;
    const j = fits ? image.id.indexOf(row.candidate) : -1;
    if (j < 0 || classes[image.label[j]] !== row.predicted || !sound(image, j, row.verdict, row.label)) {
      strange++;
      continue;
    }
    if (!taken.has(image)) taken.set(image, new Map());
    taken.get(image).set(j, { verdict: row.verdict, label: row.label });
  }
  let count = 0;
  for (const [image, said] of taken) {
    said.forEach((verdict, j) => image.verdicts.set(j, verdict));
    count += said.size;
    keep(image);
  }
  past.length = 0;
  told();
  return { count, strange };
}

function parsed(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("it is not JSON");
  }
  if (value === null || value.schema !== SCHEMA) throw new Error(`it is no ${SCHEMA} file`);
  if (!Array.isArray(value.verdicts)) throw new Error("it has no list of verdicts");
  return value;
}

export function startVerdicts() {
  images.forEach((image) => image.failed || restore(image));
}
