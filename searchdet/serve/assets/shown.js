// An image of the program as the report's modules take it: see image.js.

import { imageOf } from "./image.js";
import { pictureOf } from "./api.js";
import { names, numberOf } from "./classes.js";

const UNITS = 1024;
const FINEST = 16;
const SIDES = [256, 1024]; // of pictures that the program sends, beside the largest
const CARD = 260; // pixels of the screen, about, that a card is wide
const LARGEST = 4096; // the longest side of a picture that the program sends

// Steps of an outline in a unit, as searchdet/report/outlines.py has it
export function finenessOf(width, height) {
  let fine = 1;
  while (fine < FINEST && fine * UNITS < Math.max(width, height)) fine *= 2;
  return fine;
}

// The smallest picture that is sharp enough for a part of an image that is so many units wide
function sideFor(image, wide) {
  const longest = Math.max(...image.size);
  return SIDES.find((side) => (side * wide) / UNITS >= CARD || side >= longest) || 0;
}

function limitsIn(head) {
  return (image, label) => {
    const own = image.rule.classes[head.classes.indexOf(names[label])];
    return { minScore: own.score, minMargin: own.margin, classMargin: image.rule.classMargin };
  };
}

function pageOf(head, detail, pictureOfExemplar) {
  const called = (name) => ({ name, picture: pictureOfExemplar(name) });
  return {
    units: UNITS,
    thumbnail: LARGEST,
    classes: names,
    limits: limitsIn(head),
    recorded: () => true,
    detail: () => detail,
    ground: (image, view) => pictureOf(image.index, view ? sideFor(image, view[2]) : SIDES[0]),
    exemplar: (number) => called(head.exemplars[number]),
  };
}

const NO_HEAD = { classes: [], rules: [], exemplars: [], settings: [] };
const NO_DETAIL = { area: [], box: [], outline: [] };

// Before there is an exemplar an image has no detections
function bare({ name, status, width, height }) {
  return { name, status, size: [width, height], error: ["", "This image could not be used."], fine: finenessOf(width, height) };
}

// row: of /api/images; answer: of /api/images/I; pictureOfExemplar: address of a picture by a name, or null
export function shownImage(row, answer, pictureOfExemplar) {
  const head = answer.head || NO_HEAD;
  const found = answer.head ? head.images[0] : bare(row);
  const label = (found.label || []).map((number) => numberOf(head.classes[number]));
  const detail = { ...(answer.head ? answer.detail : NO_DETAIL), path: [] };
  const image = imageOf({ ...found, label }, head, answer.i, pageOf(head, detail, pictureOfExemplar));
  image.shown.fill(1, 0, image.accepted);
  image.count = image.accepted;
  for (const { row: id, verdict, label: name } of answer.verdicts) {
    const j = image.id.indexOf(id);
    if (j >= 0) image.verdicts.set(j, { verdict, label: name });
  }
  return image;
}
