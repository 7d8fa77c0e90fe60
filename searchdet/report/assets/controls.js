// The side: least values of each class, histograms, and what to type for them.

import { $, colourOf, counted, dot, make, percent } from "./base.js";
import { chart, rangeOf } from "./chart.js";
import { changed, classes, flags, head, images, ofRecords, quoted, set, totals } from "./state.js";

const panels = [];

const LEAST = -2; // what `detect` and `export` take; what a person said is wrong lies below

function columnOf(label, name) {
  const found = [];
  for (const image of images) {
    for (let j = 0; j < image.label.length; j++) {
      if (image.label[j] === label && image[name][j] >= LEAST) found.push(image[name][j]);
    }
  }
  return found;
}

// A slider and a number field for one least value, of one class or (the class margin) of all
function limitOf(label, which, values, usual) {
  const own = ofRecords(label, which);
  const shared = which === "classMargin";
  const bounds = { min: shared ? 0 : LEAST, max: which === "score" ? 1 : 2 };
  const [least, most] = rangeOf(values, [usual, ...(which === "margin" ? [0] : [])]);
  const low = shared ? 0 : Math.max(least, bounds.min);
  const high = Math.min(most, bounds.max);
  const words = shared ? "Least class margin" : `Least ${which}`;
  const of = shared ? "over the second class" : `of ${classes[label]}`;
  const slider = make("input", { type: "range", min: low, max: high, step: 0.001, "aria-label": `${words} ${of}` });
  const number = make("input", {
    type: "number", step: 0.001, inputmode: "decimal", id: `${which}${label}`, placeholder: "varies",
    "data-limit": which, "data-class": label, autocomplete: "off", ...bounds,
  });
  const apply = (value) => {
    set[which][label] = value === null || value === own ? null : value;
    changed();
  };
  slider.addEventListener("input", () => apply(Math.round(slider.valueAsNumber * 1000) / 1000));
  number.addEventListener("input", () => {
    const { badInput, rangeUnderflow, rangeOverflow } = number.validity;
    if (number.value === "" ? !badInput : Number.isFinite(number.valueAsNumber) && !rangeUnderflow && !rangeOverflow) {
      apply(number.value === "" ? null : number.valueAsNumber);
    }
  });
  number.addEventListener("change", () => refresh(true));
  const refresh = (always) => {
    const value = set[which][label];
    const shown = value === null ? own : value;
    if (document.activeElement !== slider) slider.value = shown === null ? usual : shown;
    slider.setAttribute("aria-valuetext", shown === null ? "as in each record" : String(shown));
    if (always || document.activeElement !== number) number.value = shown === null ? "" : shown;
    number.classList.toggle("set", value !== null);
    return shown === null ? usual : shown;
  };
  return { slider, number, refresh, low, high, own, label: make("label", { for: `${which}${label}`, text: words }) };
}

function knownText(label) {
  const rule = head.rules.find((found) => found.classes[label] !== undefined);
  const known = rule.classes[label];
  const froms = { auto: "From ", given: "Given; ", default: "Backbone\u2019s own; ", training: "Lower, for training; ",
    verdicts: "Moved by verdicts; " };
  const from = froms[known.source] || "";
  const examples = counted(known.exemplars, "example", "examples");
  const recall = known.recall ? `, ${percent(known.recall.share)} of them above it` : "";
  return `${from}${examples}${recall}`;
}

function panelOf(label) {
  const scores = columnOf(label, "score");
  const margins = columnOf(label, "margin");
  const rule = head.rules.find((found) => found.classes[label] !== undefined);
  const usual = rule.classes[label];
  const score = limitOf(label, "score", scores, usual.score);
  const margin = margins.length ? limitOf(label, "margin", margins, usual.margin) : null;
  const graph = chart(label, scores, score.low, score.high, score.own);
  const count = make("output", { class: "count", "data-class": label, "aria-label": `Detections of ${classes[label]}` });
  const back = make("button", { type: "button", class: "link", text: "Reset", "aria-label": `Reset ${classes[label]}` });
  back.addEventListener("click", () => {
    set.score[label] = set.margin[label] = null;
    changed(true);
    score.number.focus();
  });
  const of = make("span", { class: "of", text: `of ${scores.length.toLocaleString("en")}` });
  const title = make("span", { class: "title", text: classes[label], title: classes[label] });
  const known = make("p", { class: "known" }, make("span", { text: `${knownText(label)}.` }), back);
  if (usual.separates === false) {
    known.firstChild.textContent = "";
    known.firstChild.append(make("span", { class: "warn", text: "These examples do not separate." }));
  }
  const rows = [make("div", { class: "slide score" }, score.slider, score.label, score.number)];
  if (margin) rows.push(make("div", { class: "slide margin" }, margin.label, margin.slider, margin.number));
  const panel = make("section", { class: "class" }, make("h3", {}, dot(label), title, count, of), graph.drawn, ...rows, known);
  panel.style.setProperty("--own", colourOf(label));
  const refresh = (always) => {
    graph.move(score.refresh(always));
    if (margin) margin.refresh(always);
    count.textContent = totals.classes[label].toLocaleString("en");
    back.disabled = set.score[label] === null && set.margin[label] === null;
  };
  return { panel, refresh };
}

// The class margin, where there are two
function classMarginPanel() {
  const leads = images.flatMap((image) => Array.from(image.classMargin).filter((value) => !Number.isNaN(value)));
  if (!leads.length) return null;
  const limit = limitOf(0, "classMargin", leads, head.rules[0].classMargin);
  const row = make("div", { class: "slide margin" }, limit.label, limit.slider, limit.number);
  const known = make("p", { class: "known", text: "Over the second class; 0 asks for none." });
  const panel = make("section", { class: "class" }, make("h3", { text: "Between classes" }), row, known);
  return { panel, refresh: limit.refresh };
}

function folderPath() {
  if (!head.inside || location.protocol !== "file:") return null;
  try {
    const path = decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "");
    return /^\/[A-Za-z]:/.test(path) ? path.slice(1) : path || "/";
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

// Words of a command, which may part between them but not at their hyphens
function write(element, words) {
  element.replaceChildren(...words.flatMap((word, i) => (i ? [" ", make("span", { text: word })] : [make("span", { text: word })])));
}

export function refreshSide(always) {
  panels.forEach((panel) => panel.refresh(always));
  const words = flags();
  write($("flags"), words.length ? words : ["No flags: these are the records\u2019 own thresholds."]);
  $("flags").classList.toggle("empty", !words.length);
  document.querySelectorAll("[data-copy=flags]").forEach((button) => (button.disabled = !words.length));
  write($("export"), ["searchdet export", quoted(folderPath() || "OUT"), "--to coco", ...words]);
  write($("add"), ["searchdet bank add BANK", "--from-verdicts verdicts.json", `--records ${quoted(folderPath() || "OUT")}`]);
  $("reset").disabled = !words.length;
  $("total").textContent = totals.all.toLocaleString("en");
  const where = `in ${totals.images.toLocaleString("en")} of ${counted(images.length, "image", "images")}`;
  $("total-words").textContent = `${totals.all === 1 ? "detection" : "detections"} ${where}`;
  const more = totals.all - totals.record;
  const difference = more ? `${more > 0 ? "+" : "\u2212"}${Math.abs(more).toLocaleString("en")} against the records` : "";
  $("change").textContent = words.length ? difference || "as many as in the records" : "";
}

async function copy(button) {
  const text = $(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren($(button.dataset.copy)); // no clipboard here: the old way
    document.execCommand("copy");
  }
  const words = button.dataset.words || button.textContent;
  button.dataset.words = words;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = words), 1500);
}

function about() {
  const facts = head.rules.map((rule) => rule.facts);
  const every = (name) => [...new Set(facts.map((found) => found[name]))].join(", ");
  const rows = [["Images", images.length + (head.leftOut ? ` of ${images.length + head.leftOut}` : "")]];
  const failed = images.filter((image) => image.failed).length;
  if (failed) rows.push(["Failed", failed]);
  if (facts.length) {
    rows.push(["Positives", every("positive")], ["Negatives", every("negative")]);
    if (every("ignored") !== "0") rows.push(["Ignored of these", every("ignored")]);
    rows.push(["Backbone", every("backbone")], ["Proposals", every("proposals")], ["Suppression", every("suppression")]);
  }
  for (const [name, value] of rows) $("about").append(make("dt", { text: name }), make("dd", { text: value }));
}

// Most found first; what was found nowhere is folded
function classPanels() {
  const order = [...classes.keys()].sort((a, b) => totals.classes[b] - totals.classes[a] || a - b);
  const empty = order.filter((label) => totals.classes[label] === 0);
  const folded = empty.length > 1 && empty.length < order.length;
  const rest = make("details", { class: "rest" }, make("summary", { text: `${empty.length} classes without detections` }));
  for (const label of order) {
    const made = panelOf(label);
    panels.push(made);
    (folded && totals.classes[label] === 0 ? rest : $("classes")).append(made.panel);
    $("class").append(make("option", { value: label, text: classes[label] }));
  }
  if (folded) $("classes").append(rest);
}

export function startSide() {
  classPanels();
  const between = classMarginPanel();
  if (between) {
    panels.push(between);
    $("classes").append(between.panel);
  }
  about();
  const path = folderPath();
  if (path) {
    const name = path.replace(/^.*\//, "") || path;
    $("folder").textContent = name;
    document.title = `${name} \u00b7 searchdet report`;
  }
  $("reset").addEventListener("click", () => {
    Object.values(set).forEach((values) => values.fill(null));
    changed(true);
  });
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", () => copy(button)));
  $("side-button").addEventListener("click", () => toggleSide(!$("side").classList.contains("out")));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && $("side").classList.contains("out") && !$("viewer").open) {
      toggleSide(false);
      $("side-button").focus();
    }
  });
}

function toggleSide(out) {
  $("side").classList.toggle("out", out);
  $("side-button").setAttribute("aria-expanded", String(out));
}
