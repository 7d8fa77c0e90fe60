// Why a candidate has its score and its fate.

import { counted, dot, exact, make, minus, percent, short } from "./base.js";
import { limitsFor, MILLION, standingOf } from "./image.js";
import { around, detail, pathOf, picture, strokes } from "./picture.js";
import { ACCEPTED, reasonOf, SUPPRESSED } from "./rule.js";
import { drawTiles } from "./tiles.js";

const WHY = {
  margin: "below its least margin",
  class_margin: "too close to another class",
};
const SHOT = 114; // pixels of the screen that a small picture is wide

const nameOf = (image, j) => image.page.classes[image.label[j]];

// The reason of the record, or with other limits that of the rule
function reasonHere(image, j) {
  const known = detail(image);
  if (image.page.recorded()) return known.reason[j];
  const standing = Object.assign(standingOf(image, j), {
    scoreBeforeSuppression: known.beforeSuppression[j] / MILLION,
    suppressionFactor: known.suppressionFactor[j] / MILLION,
  });
  return reasonOf(standing, limitsFor(image, j));
}

function why(image, j, reason) {
  if (WHY[reason]) return WHY[reason];
  if (reason === SUPPRESSED && image.lost.has(j)) return "suppressed: nothing is left of its score";
  const known = detail(image);
  const early = reason === "score" && known.suppressionFactor[j] < MILLION;
  const score = early ? known.beforeSuppression[j] / MILLION : image.score[j];
  const distance = Math.abs(score - limitsFor(image, j).minScore);
  const far = distance < 0.001 ? exact(distance) : short(distance);
  if (reason === ACCEPTED) return `${far} above its least score`;
  const words = `${far} below its least score`;
  return reason === SUPPRESSED ? `suppressed: ${words}` : `${words}${early ? " before suppression" : ""}`;
}

function verdict(image, j) {
  const reason = reasonHere(image, j);
  const good = reason === ACCEPTED;
  const line = make("p", { class: "why" });
  line.append(make("b", { class: good ? "yes" : "no", text: good ? "Accepted" : "Rejected" }), `, ${why(image, j, reason)}`);
  const recorded = detail(image).reason[j];
  if ((recorded === ACCEPTED) !== good) {
    line.append(good ? `; rejected in the record (${recorded})` : "; accepted in the record");
  }
  const top = make("div", { class: "verdict" }, dot(image.label[j]),
    make("h3", { text: nameOf(image, j), title: nameOf(image, j) }),
    make("span", { class: "figure", text: exact(image.score[j]) }));
  return [top, line];
}

const lastOf = (name, parts) => name.split("/").slice(-parts).join("/");

function shot(inside, title, value, name) {
  const box = make("span", { class: "frame-box" }, inside);
  const caption = make("figcaption", {}, make("b", { text: title }), make("span", { class: "num", text: value }));
  if (name) caption.append(make("span", { text: lastOf(name, 2), title: name }));
  return make("figure", {}, box, caption);
}

function exemplar(image, number, cosine, title) {
  if (number === null) return shot(make("span", { class: "blank", text: "none" }), title, "\u2013", "");
  const { name, picture: address } = image.page.exemplar(number);
  const inside = address === null
    ? make("span", { class: "blank", text: lastOf(name, 1) })
    : make("img", { src: address, alt: name, decoding: "async" });
  return shot(inside, title, `cosine ${short(cosine / MILLION)}`, name);
}

function shots(image, j) {
  const known = detail(image);
  const kind = image.shown[j] ? "mask" : "miss";
  const view = around(image, j, 1);
  const own = picture(image, view, ...strokes(kind, pathOf(image, j), image.label[j]));
  drawTiles(own, image, view, SHOT / view[2]);
  return make("div", { class: "shots" },
    shot(own, "This candidate", `id ${image.id[j]}`, image.name),
    exemplar(image, known.near[j], known.nearCosine[j], "Nearest positive"),
    exemplar(image, known.far[j], known.farCosine[j], "Nearest negative"));
}

function row(words, value, kind) {
  return make("tr", { class: kind || "" }, make("th", { scope: "row", text: words }), make("td", { text: value }));
}

// positive - negative weight * max(negative, 0) - shape weight * (1 - shape)
// - context weight * max(context, 0) - size weight * (1 - size) - level weight * level of the image
// + normal weight * the logit of what is unusual, which is what the others leave
function sum(image, j) {
  const known = detail(image);
  const at = (name) => (known[name][j] === null ? NaN : known[name][j] / MILLION);
  const { negative, shape, context, size, level, normal } = image.rule.weights;
  const rows = normal === "alone" ? [] : [row("Similarity to the class", exact(at("positive")))];
  let total = at("positive");
  const less = (words, weight, value) => {
    if (!weight || Number.isNaN(value) || normal === "alone") return;
    total -= weight * Math.max(value, 0);
    rows.push(row(words, `\u2212${exact(weight * Math.max(value, 0))}`));
  };
  less(`${negative} \u00d7 similarity to the nearest negative`, negative, at("negative"));
  less(`${shape} \u00d7 (1 \u2212 shape similarity, ${short(at("shape"))})`, shape, 1 - at("shape"));
  less(`${context} \u00d7 context similarity, ${short(at("context"))}`, context, at("context"));
  const best = known.bestSizes[image.label[j]] / MILLION;
  less(`${size} \u00d7 (${short(best)} of the best candidate \u2212 size similarity, ${short(at("size"))})`, size, best - at("size"));
  const own = known.levels[image.label[j]] / MILLION;
  if (own && normal !== "alone") rows.push(row(`${level} \u00d7 what any region of this image scores, ${short(own)}`, exact(-level * own)));
  const flags = known.flags[j] || [];
  const told = flags.includes("told");
  if (normal === "alone" && flags.includes("on_wrong")) rows.push(row("It lies on a region that was said to be wrong", ""));
  else if (normal === "alone" && !told) rows.push(row("How unusual it is beside good parts", exact(at("beforeSuppression"))));
  else if (normal && !told) {
    rows.push(row(`${normal} \u00d7 how unusual it is, in log odds`, exact(at("beforeSuppression") - total + level * own)));
  }
  const whole = at("suppressionFactor") === 1;
  // which goes before all that it has in common with the exemplars
  if (told) rows.push(row("What was said of this very region decides", ""));
  rows.push(row(whole ? "Score" : "Score before suppression", exact(at("beforeSuppression")), "result"));
  if (!whole) {
    rows.push(row("\u00d7 suppression factor", exact(at("suppressionFactor"))), row("Score", exact(image.score[j]), "result"));
  }
  return make("table", { class: "ledger" }, make("caption", { text: "How the score comes about" }), make("tbody", {}, ...rows));
}

function rules(image, j) {
  const rows = [];
  const add = (words, value, limit) => {
    const good = !(value < limit);
    const shown = Number.isNaN(value) ? "does not apply" : `${exact(value)} ${good ? "\u2265" : "<"} ${minus(String(limit))}`;
    const mark = make("td", { class: `mark ${good ? "yes" : "no"}`, text: good ? "\u2713" : "\u2717" });
    mark.setAttribute("aria-label", good ? "met" : "not met");
    rows.push(make("tr", {}, make("th", { scope: "row", text: words }), make("td", { text: shown }), mark));
  };
  const limits = limitsFor(image, j);
  add("Score", image.score[j], limits.minScore);
  add("Margin", image.margin[j], limits.minMargin);
  if (limits.classMargin > 0) add("Class margin", image.classMargin[j], limits.classMargin);
  return make("table", { class: "ledger" }, make("caption", { text: "What it must reach" }), make("tbody", {}, ...rows));
}

function suppression(image, j, choose) {
  const known = detail(image);
  const by = known.by[j];
  if (by === null) return [];
  const other = image.id.indexOf(by);
  const taken = 1 - known.suppressionFactor[j] / MILLION;
  const gone = image.score[j] > 0 ? taken * (known.beforeSuppression[j] / MILLION) : 0;
  const share = image.rule.facts.suppression === "diffusion" ? "most of it " : "";
  const words = `Loses ${percent(taken)} of its score (${short(gone)}), ${share}to candidate ${by}`;
  const line = make("p", { class: "took" });
  if (other < 0) {
    line.append(`${words}, which is not on this page.`);
    return [line];
  }
  const button = make("button", { type: "button", class: "link", text: "Show it" });
  button.addEventListener("click", () => choose(other));
  line.append(`${words} (${nameOf(image, other)} ${short(image.score[other])}). `, button);
  return [line];
}

function facts(image, j) {
  const known = detail(image);
  const box = known.box.slice(4 * j, 4 * j + 4);
  const probability = known.probability[j];
  const rows = [
    ["Probability, a guess", probability === null ? "\u2013" : short(probability / MILLION)],
    ["Margin to the nearest negative", exact(image.margin[j])],
    ["Class margin", exact(image.classMargin[j])],
    ["Mask quality", exact(known.quality[j] / MILLION)],
    ["Area", counted(known.area[j], "pixel", "pixels")],
    ["Box (x, y, x, y)", box.join(", ")],
    ["Reason in the record", known.reason[j]],
  ];
  if (known.flags[j]) rows.push(["Flags", known.flags[j].join(", ")]);
  const list = make("dl", { class: "facts" });
  for (const [name, value] of rows) list.append(make("dt", { text: name }), make("dd", { text: value }));
  return list;
}

// more: what a page adds, lines below the verdict and what can be done about it; choose: shows another candidate
export function evidence(image, j, more, choose) {
  return [...verdict(image, j), ...more.lines, shots(image, j), sum(image, j), ...suppression(image, j, choose),
    rules(image, j), ...more.acts, facts(image, j)];
}
