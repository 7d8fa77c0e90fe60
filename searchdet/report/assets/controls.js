// The side: least values of each class, histograms, and what to type for them.

const BINS = 64;
const panels = [];

function columnOf(label, name) {
  const found = [];
  for (const image of images) {
    for (let j = 0; j < image.label.length; j++) {
      if (image.label[j] === label && !Number.isNaN(image[name][j])) found.push(image[name][j]);
    }
  }
  return found;
}

function rangeOf(values, marks) {
  let low = Math.min(...marks);
  let high = Math.max(...marks);
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [Math.floor(low * 20 - 0.2) / 20, Math.ceil(high * 20 + 0.2) / 20];
}

function barsOf(values, low, high) {
  const counts = new Array(BINS).fill(0);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor((BINS * (value - low)) / (high - low)))]++;
  const most = Math.sqrt(Math.max(...counts, 1)); // the root, so that single ones show beside hundreds
  let path = "";
  counts.forEach((count, i) => {
    if (!count) return;
    const height = Math.max(1.5, (48 * Math.sqrt(count)) / most);
    const left = (100 * (i + 0.1)) / BINS;
    path += `M${left.toFixed(2)} 50v${-height.toFixed(2)}h${(80 / BINS).toFixed(2)}V50z`;
  });
  return path;
}

function chart(label, values, low, high, own) {
  const place = (value) => Math.min(100, Math.max(0, (100 * (value - low)) / (high - low)));
  const path = barsOf(values, low, high);
  const clip = draw("rect", { y: -4, height: 60 });
  const now = draw("path", { class: "now" });
  const parts = [
    draw("clipPath", { id: `clip${label}` }, clip),
    draw("path", { class: "bars", d: path }),
    draw("path", { class: "bars above", d: path, "clip-path": `url(#clip${label})` }),
    draw("path", { class: "base", d: "M0 50.5H100" }),
  ];
  if (own !== null) parts.push(draw("path", { class: "first", d: `M${place(own)} -2V50` }));
  const title = `Scores of ${counted(values.length, "candidate", "candidates")}, from ${low} to ${high}`;
  const drawn = draw(
    "svg",
    { class: "chart", viewBox: "0 0 100 52", preserveAspectRatio: "none", role: "img", "aria-label": title },
    ...parts,
    now,
  );
  const move = (value) => {
    const x = place(value);
    clip.setAttribute("x", x);
    clip.setAttribute("width", 100 - x);
    now.setAttribute("d", `M${x} -4V50`);
  };
  return { drawn, move };
}

// A slider and a number field for one least value, of one class or (the lead) of all
function limitOf(label, which, values, usual) {
  const own = ofRecords(label, which);
  const lead = which === "lead";
  const bounds = { min: lead ? 0 : -2, max: which === "score" ? 1 : 2 }; // what `detect` and `export` take
  const [least, most] = rangeOf(values, [usual, ...(which === "margin" ? [0] : [])]);
  const low = lead ? 0 : Math.max(least, bounds.min);
  const high = Math.min(most, bounds.max);
  const words = lead ? "Least lead" : `Least ${which}`;
  const of = lead ? "over the second class" : `of ${classes[label]}`;
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
  const from = { auto: "From", given: "Given; ", default: "Backbone\u2019s own; " }[known.source] || "";
  const examples = counted(known.exemplars, "example", "examples");
  const recall = known.recall ? `, ${percent(known.recall.share)} of them above it` : "";
  return `${from}${known.source === "auto" ? " " : ""}${examples}${recall}`;
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

// The lead over the second class, where there are two
function leadPanel() {
  const gaps = images.flatMap((image) => Array.from(image.gap).filter((value) => !Number.isNaN(value)));
  if (!gaps.length) return null;
  const lead = limitOf(0, "lead", gaps, head.rules[0].classMargin);
  const row = make("div", { class: "slide margin" }, lead.label, lead.slider, lead.number);
  const known = make("p", { class: "known", text: "Over the second class; 0 asks for none." });
  const panel = make("section", { class: "class" }, make("h3", { text: "Between classes" }), row, known);
  return { panel, refresh: lead.refresh };
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

function refreshSide(always) {
  panels.forEach((panel) => panel.refresh(always));
  const words = flags();
  write($("flags"), words.length ? words : ["No flags: these are the records\u2019 own thresholds."]);
  $("flags").classList.toggle("empty", !words.length);
  document.querySelectorAll("[data-copy=flags]").forEach((button) => (button.disabled = !words.length));
  write($("export"), ["searchdet export", quoted(folderPath() || "OUT"), "--to coco", ...words]);
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

function startSide() {
  classes.forEach((name, label) => {
    panels.push(panelOf(label));
    $("classes").append(panels[label].panel);
    $("class").append(make("option", { value: label, text: name }));
  });
  const lead = leadPanel();
  if (lead) {
    panels.push(lead);
    $("classes").append(lead.panel);
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
