// Why a candidate has its score and its fate.

const WHY = {
  score: "below its least score",
  margin: "below its least margin",
  class_margin: "too close to another class",
  lost: "nothing is left of its score",
  suppressed: "suppressed",
};
const STEP = 1e-6; // the last digit of a record

function verdict(image, j) {
  const failed = image.shown[j] ? null : failing(image, j) || "score";
  const line = make("p", { class: "why" });
  line.append(make("b", { class: failed ? "no" : "yes", text: failed ? "Rejected" : "Accepted" }));
  const distance = Math.abs(image.score[j] - least(image, image.label[j], "score"));
  const far = distance < 0.001 ? exact(distance) : short(distance);
  if (failed === null) line.append(`, ${far} above its least score`);
  else if (failed === "score") line.append(`, ${far} below its least score`);
  else line.append(`, ${WHY[failed]}`);
  const reason = detail(image.index).reason[j];
  if ((reason === "accepted") !== (failed === null)) {
    line.append(reason === "accepted" ? "; accepted in the record" : `; rejected in the record (${reason})`);
  }
  const top = make("div", { class: "verdict" }, dot(image.label[j]),
    make("h3", { text: classes[image.label[j]], title: classes[image.label[j]] }),
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

function exemplar(number, cosine, title) {
  if (number === null) return shot(make("span", { class: "blank", text: "none" }), title, "\u2013", "");
  const name = head.exemplars[number];
  const data = block(`e${number}`);
  const inside = data === null
    ? make("span", { class: "blank", text: lastOf(name, 1) })
    : make("img", { src: `data:image/jpeg;base64,${data}`, alt: name, decoding: "async" });
  return shot(inside, title, `cosine ${short(cosine / MILLION)}`, name);
}

function shots(image, j) {
  const known = detail(image.index);
  const kind = image.shown[j] ? "mask" : "miss";
  const own = picture(image, around(image, j, 1), ...strokes(kind, pathOf(image, j), image.label[j]));
  return make("div", { class: "shots" },
    shot(own, "This candidate", `id ${known.id[j]}`, image.name),
    exemplar(known.near[j], known.nearCosine[j], "Nearest positive"),
    exemplar(known.far[j], known.farCosine[j], "Nearest negative"));
}

function row(words, value, kind) {
  return make("tr", { class: kind || "" }, make("th", { scope: "row", text: words }), make("td", { text: value }));
}

// pos - negative weight * max(neg, 0) - shape weight * (1 - shape) - context weight * max(context, 0)
function sum(image, j) {
  const known = detail(image.index);
  const at = (name) => (known[name][j] === null ? NaN : known[name][j] / MILLION);
  const [negative, shape, context] = image.rule.weights;
  const rows = [row("Cosine to the class", exact(at("pos")))];
  const less = (words, weight, value) => {
    if (weight && !Number.isNaN(value)) rows.push(row(words, `\u2212${exact(weight * Math.max(value, 0))}`));
  };
  less(`${negative} \u00d7 cosine to the nearest negative`, negative, at("neg"));
  less(`${shape} \u00d7 (1 \u2212 likeness of outline, ${short(at("shape"))})`, shape, 1 - at("shape"));
  less(`${context} \u00d7 cosine of the surroundings, ${short(at("context"))}`, context, at("context"));
  const whole = at("kept") === 1;
  rows.push(row(whole ? "Score" : "Raw score", exact(at("raw")), "result"));
  if (!whole) {
    rows.push(row("\u00d7 kept beside other masks", exact(at("kept"))), row("Score", exact(image.score[j]), "result"));
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
  const label = image.label[j];
  add("Score", image.score[j], least(image, label, "score"));
  add("Margin", image.margin[j], least(image, label, "margin"));
  const lead = least(image, 0, "lead");
  if (lead > 0) add("Lead over the next class", image.gap[j], lead);
  return make("table", { class: "ledger" }, make("caption", { text: "What it must reach" }), make("tbody", {}, ...rows));
}

function suppression(image, j, choose) {
  const known = detail(image.index);
  const by = known.by[j];
  if (by === null) return [];
  const other = known.id.indexOf(by);
  const gone = image.score[j] > 0 ? (1 - known.kept[j] / MILLION) * (known.raw[j] / MILLION) : 0;
  const share = image.rule.facts.suppression === "diffusion" ? "most of it " : "";
  const words = `Loses ${percent(1 - known.kept[j] / MILLION)} of its score (${short(gone)}), ${share}to candidate ${by}`;
  const line = make("p", { class: "took" });
  if (other < 0) {
    line.append(`${words}, which is not on this page.`);
    return [line];
  }
  const button = make("button", { type: "button", class: "link", text: "Show it" });
  button.addEventListener("click", () => choose(other));
  line.append(`${words} (${classes[image.label[other]]} ${short(image.score[other])}). `, button);
  return [line];
}

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

function facts(image, j) {
  const known = detail(image.index);
  const box = known.box.slice(4 * j, 4 * j + 4);
  const probability = known.probability[j];
  const rows = [
    ["Probability, a guess", probability === null ? "\u2013" : short(probability / MILLION)],
    ["Margin to the negative", exact(image.margin[j])],
    ["Lead over the next class", exact(image.gap[j])],
    ["Mask quality", exact(known.quality[j] / MILLION)],
    ["Area", `${known.area[j].toLocaleString("en")} pixels`],
    ["Box (x, y, x, y)", box.join(", ")],
    ["Reason in the record", known.reason[j]],
  ];
  if (known.flags[j]) rows.push(["Flags", known.flags[j].join(", ")]);
  const list = make("dl", { class: "facts" });
  for (const [name, value] of rows) list.append(make("dt", { text: name }), make("dd", { text: value }));
  return list;
}

function evidence(image, j, choose) {
  return [...verdict(image, j), shots(image, j), sum(image, j), ...suppression(image, j, choose), rules(image, j),
    actions(image, j), facts(image, j)];
}
