// A histogram of scores with the least score in it.

import { counted, draw } from "./base.js";

const BINS = 64;

export function rangeOf(values, marks) {
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

export function chart(label, values, low, high, own) {
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
