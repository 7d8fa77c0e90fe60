// The decision, as limits.py takes it: least values of the records, or of a class where one is set here.

const head = JSON.parse(block("head"));
const MILLION = 1e6; // records hold six digits, and a whole number of millionths divides to the same number
const numbers = (list) => Float64Array.from(list, (value) => (value === null ? NaN : value / MILLION));

const classes = head.classes;
const images = head.images.map((found, index) => {
  const image = { index, name: found.name, failed: found.status === "failed", error: found.error || null };
  const count = found.label ? found.label.length : 0;
  return Object.assign(image, {
    size: found.size,
    rule: image.failed ? null : head.rules[found.rule],
    accepted: found.accepted || 0,
    left: found.left || 0,
    label: Uint32Array.from(found.label || []),
    score: numbers(found.score || []),
    margin: numbers(found.margin || []),
    gap: numbers(found.gap || []),
    lost: new Set(found.lost || []),
    shown: new Uint8Array(count),
    count: 0,
    changed: false,
  });
});

// What the user has set, by class (the lead over the second class: for all); null: as in the record.
const set = { score: classes.map(() => null), margin: classes.map(() => null), lead: [null] };
const totals = { all: 0, images: 0, classes: classes.map(() => 0), record: 0 };
images.forEach((image) => (totals.record += image.accepted));

const anySet = () => Object.values(set).flat().some((value) => value !== null);

const given = (rule, label, which) => (which === "lead" ? rule.classMargin : rule.classes[label][which]);

function least(image, label, which) {
  const own = set[which][label];
  return own === null ? given(image.rule, label, which) : own;
}

function failing(image, j) {
  const label = image.label[j];
  if (image.lost.has(j)) return "lost";
  if (image.score[j] < least(image, label, "score")) return "score";
  if (image.margin[j] < least(image, label, "margin")) return "margin"; // false for NaN: no negatives
  const lead = least(image, 0, "lead");
  return lead > 0 && image.gap[j] < lead ? "class_margin" : null;
}

// How far a candidate is from the other decision: the tightest of its rules, negative if it fails one.
function slack(image, j) {
  const label = image.label[j];
  let found = image.score[j] - least(image, label, "score");
  const margin = image.margin[j] - least(image, label, "margin");
  if (margin < found) found = margin;
  const lead = least(image, 0, "lead");
  if (lead > 0 && image.gap[j] - lead < found) found = image.gap[j] - lead;
  return found;
}

function decide() {
  const moved = anySet();
  totals.all = totals.images = 0;
  totals.classes.fill(0);
  for (const image of images) {
    image.count = 0;
    image.changed = false;
    for (let j = 0; j < image.shown.length; j++) {
      const before = j < image.accepted;
      const now = moved ? failing(image, j) === null : before;
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

// The least value that all records agree on; null where they differ.
function ofRecords(label, which) {
  let found = null;
  for (const rule of head.rules) {
    if (which !== "lead" && rule.classes[label] === undefined) continue;
    const own = given(rule, label, which);
    if (found !== null && found !== own) return null;
    found = own;
  }
  return found;
}

const quoted = (text) => (/^[\w.,:/@%+-][\w.,:/@%+=-]*$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

function flags() {
  const words = [];
  for (const [which, flag] of [["score", "--class-min-score"], ["margin", "--class-min-margin"]]) {
    classes.forEach((name, label) => {
      if (set[which][label] !== null) words.push(`${flag} ${quoted(`${name}=${set[which][label]}`)}`);
    });
  }
  if (set.lead[0] !== null) words.push(`--class-margin ${set.lead[0]}`);
  return words;
}
