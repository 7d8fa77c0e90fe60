// One image with its candidates, as the pages hold it. What a page knows beside it is image.page: units, tile and
// thumbnail (sides), classes (names), limits(image, label), recorded() (whether decisions are those of the record),
// detail(image), ground(image, view) (address of the whole picture, fine enough for a part of it, or null), exemplar(number) (name and picture). Pure.

import { slackOf } from "./rule.js";

export const MILLION = 1e6; // records hold six digits, and a whole number of millionths divides to the same number
const numbers = (list) => Float64Array.from(list || [], (value) => (value === null ? NaN : value / MILLION));

// found: one of head.images, see searchdet/report/contents.py
export function imageOf(found, head, index, page) {
  const failed = found.status === "failed";
  return {
    page,
    index,
    failed,
    name: found.name,
    error: found.error || null,
    size: found.size,
    sha256: found.sha256,
    settings: head.settings[found.settings],
    full: found.full || null,
    fine: found.fine || 1,
    truth: found.truth || null,
    verdicts: new Map(),
    id: found.id || [],
    rule: failed ? null : head.rules[found.rule],
    accepted: found.accepted || 0,
    left: found.left || 0,
    label: Uint32Array.from(found.label || []),
    score: numbers(found.score),
    margin: numbers(found.margin),
    classMargin: numbers(found.classMargin),
    lost: new Set(found.lost || []),
    shown: new Uint8Array((found.label || []).length),
    count: 0,
    changed: false,
  };
}

// What the rule looks at, as far as a decision needs it. Suppression only takes from a score: one that is
// high enough after it was so before. Which rule fails first is told by the details (evidence.js).
export const standingOf = (image, j) => ({
  scoreBeforeSuppression: image.score[j],
  score: image.score[j],
  suppressionFactor: image.lost.has(j) ? 0 : 1,
  margin: image.margin[j],
  classMargin: image.classMargin[j],
});

export const limitsFor = (image, j) => image.page.limits(image, image.label[j]);
export const slack = (image, j) => slackOf(standingOf(image, j), limitsFor(image, j));
