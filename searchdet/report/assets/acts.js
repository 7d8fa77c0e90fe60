// What the report adds to the evidence of a candidate: the ground truth, and least scores set by it.

import { make } from "./base.js";
import { MILLION } from "./image.js";
import { changed, classes, ofRecords, set } from "./state.js";
import { lineOf } from "./truth.js";

const STEP = 1e-6; // the last digit of a record

function actions(image, j) {
  const label = image.label[j];
  const push = (words, value) => {
    const button = make("button", { type: "button", class: "plain small", text: words });
    button.disabled = set.score[label] === value || value > 1; // no least score lies above
    button.addEventListener("click", () => {
      set.score[label] = value === ofRecords(label, "score") ? null : value;
      changed(true);
    });
    return button;
  };
  const value = image.score[j];
  const above = Math.round((value + STEP) * MILLION) / MILLION;
  return make("div", { class: "acts" },
    push(`Accept ${classes[label]} from here`, value), push("Reject up to here", above));
}

export const additions = (image, j) => ({ lines: lineOf(image, j), acts: [actions(image, j)] });
