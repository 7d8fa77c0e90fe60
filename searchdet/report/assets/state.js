// What the page holds, what the user has set, and what follows: the decisions, their sums, the flags.

import { block } from "./base.js";
import { imageOf, standingOf } from "./image.js";
import { ACCEPTED, reasonOf } from "./rule.js";

export const head = JSON.parse(block("head"));
export const classes = head.classes;

const embedded = (name) => {
  const data = block(name);
  return data === null ? null : `data:image/jpeg;base64,${data}`;
};
const page = {
  units: head.units,
  tile: head.tile,
  thumbnail: head.thumbnail,
  classes,
  limits: (image, label) => limitsOf(image.rule, label),
  recorded: () => !anySet(),
  detail: (image) => JSON.parse(block(`d${image.index}`)),
  ground: (image) => embedded(`t${image.index}`),
  exemplar: (number) => ({ name: head.exemplars[number], picture: embedded(`e${number}`) }),
};
export const images = head.images.map((found, index) => imageOf(found, head, index, page));

// What the user has set, by class (the class margin: for all); null: as in the record.
export const set = { score: classes.map(() => null), margin: classes.map(() => null), classMargin: [null] };
export const totals = { all: 0, images: 0, classes: classes.map(() => 0), record: 0 };
images.forEach((image) => (totals.record += image.accepted));

export const anySet = () => Object.values(set).flat().some((value) => value !== null);

const given = (rule, label, which) => (which === "classMargin" ? rule.classMargin : rule.classes[label][which]);

function least(rule, label, which) {
  const own = set[which][which === "classMargin" ? 0 : label];
  return own === null ? given(rule, label, which) : own;
}

// What candidates of a class must reach in images of a run, as the page is set
export const limitsOf = (rule, label) => ({
  minScore: least(rule, label, "score"),
  minMargin: least(rule, label, "margin"),
  classMargin: least(rule, label, "classMargin"),
});

export function decide() {
  const moved = anySet();
  totals.all = totals.images = 0;
  totals.classes.fill(0);
  const limits = new Map(
    head.rules.map((rule) => [rule, classes.map((_, label) => rule.classes[label] && limitsOf(rule, label))]),
  );
  for (const image of images) {
    const held = limits.get(image.rule);
    image.count = 0;
    image.changed = false;
    for (let j = 0; j < image.shown.length; j++) {
      const before = j < image.accepted;
      const now = moved ? reasonOf(standingOf(image, j), held[image.label[j]]) === ACCEPTED : before;
      image.shown[j] = now;
      if (now !== before) image.changed = true;
      if (!now) continue;
      image.count++;
      totals.classes[image.label[j]]++;
    }
    totals.all += image.count;
    if (image.count) totals.images++;
  }
}

const followers = [];

// Call when something was set: decisions follow, then all who asked. always: fields are filled in, too.
export function changed(always) {
  decide();
  followers.forEach((call) => call(always === true));
}

export function onChange(call) {
  followers.push(call);
}

// The least value that all records agree on; null where they differ.
export function ofRecords(label, which) {
  let found = null;
  for (const rule of head.rules) {
    if (which !== "classMargin" && rule.classes[label] === undefined) continue;
    const own = given(rule, label, which);
    if (found !== null && found !== own) return null;
    found = own;
  }
  return found;
}

export const quoted = (text) => (/^[\w.,:/@%+-][\w.,:/@%+=-]*$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

export function flags() {
  const words = [];
  for (const [which, flag] of [["score", "--class-min-score"], ["margin", "--class-min-margin"]]) {
    classes.forEach((name, label) => {
      if (set[which][label] !== null) words.push(`${flag} ${quoted(`${name}=${set[which][label]}`)}`);
    });
  }
  if (set.classMargin[0] !== null) words.push(`--class-margin ${set.classMargin[0]}`);
  return words;
}
