// Regions that were not found: a click shows those under it, one is taken as an exemplar. By keys too.

import { $, counted, draw, make, short } from "./base.js";
import { get } from "./api.js";
import { withCurrent } from "./ask.js";
import { act } from "./deeds.js";
import { classNames, isTrouble, live } from "./live.js";
import { isOpen, look, onLook } from "./look.js";
import { pathOfBox, pathOfOutline, unit, within } from "./picture.js";
import { endHint, hint, say, sayError } from "./say.js";
import { stage } from "./stage.js";
import { seenPart, under } from "./zoom.js";

const STEP = 0.02; // of what is seen, that a key moves the point
// regions: those offered, at: which of them; point: x and y in units while one is set by keys
const offer = { regions: [], at: 0, i: -1, point: null, turn: 0 };

export const isOffering = () => offer.regions.length > 0;
export const isPointing = () => offer.point !== null;

function layer() {
  const svg = $("shown").querySelector("svg");
  if (!svg) return null;
  const known = svg.querySelector("g.offer");
  if (known) {
    svg.append(known); // above all else, whatever was drawn since
    return known;
  }
  const made = draw("g", { class: "offer" });
  svg.append(made);
  return made;
}

function shape(image, region) {
  return region.outline ? pathOfOutline(region.outline, image.fine) : pathOfBox(within(image, region.box, 0));
}

function cross([x, y]) {
  const { width } = seenPart();
  const arm = width / 40;
  return draw("path", { class: "cross", d: `M${x - arm} ${y}h${2 * arm}M${x} ${y - arm}v${2 * arm}` });
}

const kind = () => (live.current === undefined ? "a new class\u2026" : live.current === null ? "a negative" : live.current);

function words(region) {
  const known = region.label === null || region.score === null ? "" : `, now ${region.label} ${short(region.score)}`;
  return `${offer.at + 1} of ${counted(offer.regions.length, "region", "regions")} here: ${counted(region.area, "pixel", "pixels")}${known}`;
}

function redraw() {
  $("offer").hidden = !isOffering();
  $("stage").classList.toggle("pointing", isPointing());
  const group = layer();
  if (!group) return;
  const parts = [];
  if (offer.point) parts.push(cross(offer.point));
  if (isOffering()) {
    const path = shape(stage.image, offer.regions[offer.at]);
    parts.push(draw("path", { class: "offered under", d: path }), draw("path", { class: "offered", d: path }));
    $("offer-words").textContent = words(offer.regions[offer.at]);
    $("take").replaceChildren(make("span", { text: `Take as ${kind()}` }));
    $("take-negative").hidden = live.current === null;
    for (const id of ["offer-less", "offer-more"]) $(id).disabled = offer.regions.length < 2;
  }
  group.replaceChildren(...parts);
}

export function endOffer() {
  offer.turn++;
  if (offer.point) endHint();
  Object.assign(offer, { regions: [], at: 0, point: null });
  redraw();
}

const pick = (image, row, label) => act({ kind: "pick", image, row, label });

// x and y in units; atOnce: the likeliest is taken without a question
async function ask(x, y, atOnce) {
  const turn = ++offer.turn;
  const { image } = stage;
  const scale = unit(image);
  let found;
  try {
    found = (await get(`/api/images/${image.index}/at?x=${x / scale}&y=${y / scale}`)).regions;
  } catch (error) {
    if (!isTrouble(error)) throw error;
    sayError(error);
    return;
  }
  if (atOnce && found.length) { // also where another click came since
    withCurrent((label) => pick(image.name, found[0].row, label));
    return;
  }
  if (turn !== offer.turn || stage.image.index !== image.index) return;
  Object.assign(offer, { regions: found, at: 0, i: image.index });
  if (!found.length) say("No region was proposed here. Draw a box around the object: hold B and drag.");
  redraw();
}

export function turnOffer(by) {
  offer.at = (offer.at + by + offer.regions.length) % offer.regions.length;
  redraw();
}

function take(label) {
  const region = offer.regions[offer.at];
  const image = stage.image.name;
  endOffer();
  $("list").focus({ preventScroll: true });
  return pick(image, region.row, label);
}

export const takeCurrent = () => withCurrent(take);

// What keys mean while regions are offered, or a point is set; null for those that mean what they always do
export function offerKey(event) {
  const name = classNames()[Number(event.key) - 1];
  const button = event.target.closest("button") !== null;
  if (event.key === "Escape") return endOffer;
  if (isOffering()) {
    if (event.key === "Tab") return () => turnOffer(event.shiftKey ? -1 : 1);
    if (event.key === "Enter" && !button) return takeCurrent;
    if (event.key === "n") return () => take(null);
    if (name !== undefined) return () => take(name);
  }
  if (!isPointing()) return null;
  if (event.key === "Enter" && !button) return () => ask(...offer.point);
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  return way ? () => movePoint(way, event.shiftKey ? 5 : 1) : null;
}

function movePoint([across, down], by) {
  const { width } = seenPart();
  const side = stage.image.size.map((pixels) => pixels * unit(stage.image));
  const kept = (value, most) => Math.min(Math.max(value, 0), most - 0.001);
  const [x, y] = offer.point;
  offer.point = [kept(x + across * width * STEP * by, side[0]), kept(y + down * width * STEP * by, side[1])];
  offer.regions = [];
  redraw();
}

export function startPoint() {
  if (!look.shown) return;
  const { x, y } = seenPart();
  endOffer();
  offer.point = [x, y];
  $("list").focus({ preventScroll: true });
  redraw();
  hint("Arrow keys move the point, Enter shows the regions under it, Esc ends.");
}

// A click beside what was found asks; so does one more click on what is chosen already. With Shift it takes
function startClicks() {
  let before = -1;
  $("stage").addEventListener("click", () => (before = stage.chosen), { capture: true });
  $("stage").addEventListener("click", (event) => {
    if (!look.shown || stage.image.failed || event.target.closest("button, .offer-bar, .zoom")) return;
    $("list").focus({ preventScroll: true }); // keys go on where a click was
    const group = event.target.closest("g[data-j]");
    if (event.detail > 1 || (!event.shiftKey && group && Number(group.dataset.j) !== before)) {
      endOffer();
      return;
    }
    const [x, y] = under(event.clientX, event.clientY);
    const [width, height] = stage.image.size.map((pixels) => pixels * unit(stage.image));
    if (x >= 0 && y >= 0 && x < width && y < height) ask(x, y, event.shiftKey);
  });
}

export function startOffer() {
  startClicks();
  $("stage").addEventListener("wheel", (event) => {
    if (!isOffering() || event.ctrlKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    turnOffer(event.deltaY > 0 ? 1 : -1);
  }, { passive: false, capture: true });
  $("take").addEventListener("click", takeCurrent);
  $("take-negative").addEventListener("click", () => take(null));
  $("offer-less").addEventListener("click", () => turnOffer(-1));
  $("offer-more").addEventListener("click", () => turnOffer(1));
  $("offer-close").addEventListener("click", endOffer);
  $("point").addEventListener("click", startPoint);
  onLook(() => {
    if (stage.image.index !== offer.i) offer.regions = [];
    redraw();
  });
  $("viewer").addEventListener("close", () => isOpen() || endOffer());
}
