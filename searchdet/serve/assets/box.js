// A box drawn around an object, which becomes an exemplar: by a drag while B is held or the tool is on, or by keys.

import { $, draw } from "./base.js";
import { withCurrent } from "./ask.js";
import { act } from "./deeds.js";
import { isOpen, look, onLook } from "./look.js";
import { unit } from "./picture.js";
import { endHint, hint, say } from "./say.js";
import { stage } from "./stage.js";
import { seenPart, under } from "./zoom.js";

const LEAST = 4; // pixels of the screen: less is a click
const HELD = 400; // milliseconds after which B counts as held
const STEP = 0.02;
// on: the tool; from: where a drag began; box: x0, y0, x1, y1 in units, of a drag or of keys
const tool = { on: false, from: null, box: null, pressed: 0, used: false, dragged: false };

export const isBoxing = () => tool.on;

function redraw() {
  $("box").setAttribute("aria-pressed", String(tool.on));
  $("stage").classList.toggle("boxing", tool.on);
  const svg = $("shown").querySelector("svg");
  if (!svg) return;
  svg.querySelectorAll("g.boxed").forEach((old) => old.remove());
  if (!tool.box) return;
  const [x0, y0, x1, y1] = tool.box;
  const place = { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) };
  svg.append(draw("g", { class: "boxed" }, draw("rect", { class: "under", ...place }), draw("rect", place)));
}

export function setBoxing(on) {
  if (tool.on && !on) endHint();
  Object.assign(tool, { on: on && look.shown, from: null, box: null });
  redraw();
}

const bounds = () => stage.image.size.map((pixels) => pixels * unit(stage.image));

function finish(label) {
  if (!tool.box) return; // the tool was left while the class was asked for
  const scale = unit(stage.image);
  const [width, height] = bounds();
  const [x0, y0, x1, y1] = tool.box;
  const kept = (value, most) => Math.min(Math.max(value, 0), most) / scale;
  const box = [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)].map((value, k) => kept(value, k % 2 ? height : width));
  tool.box = null;
  redraw();
  if (box[2] - box[0] < 1 || box[3] - box[1] < 1) return;
  say("The object in the box is looked for\u2026");
  act({ kind: "draw", image: stage.image.name, box, label });
}

function down(event) {
  if (!tool.on || event.button !== 0 || event.target.closest("button, .offer-bar")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  $("stage").setPointerCapture(event.pointerId);
  tool.from = [event.clientX, event.clientY];
  tool.dragged = false;
  const at = under(event.clientX, event.clientY);
  tool.box = [...at, ...at];
}

function move(event) {
  if (!tool.from) return;
  event.stopImmediatePropagation();
  if (Math.hypot(event.clientX - tool.from[0], event.clientY - tool.from[1]) >= LEAST) tool.dragged = true;
  tool.box = [...tool.box.slice(0, 2), ...under(event.clientX, event.clientY)];
  redraw();
}

function up(event) {
  if (!tool.from) return;
  event.stopImmediatePropagation();
  tool.from = null;
  tool.used = true;
  if (tool.dragged) withCurrent(finish);
  else {
    tool.box = null;
    redraw();
  }
}

function cancel() {
  Object.assign(tool, { from: null, box: null, dragged: false });
  redraw();
}

// A box of keys: in the middle of what is seen, then moved, or made larger with Shift
function nudge([across, down], grow) {
  const { x, y, width, height } = seenPart();
  if (!tool.box) {
    tool.box = [x - width / 8, y - height / 8, x + width / 8, y + height / 8];
    redraw();
    return;
  }
  const [dx, dy] = [across * width * STEP, down * width * STEP];
  const [x0, y0, x1, y1] = tool.box;
  tool.box = grow ? [x0, y0, Math.max(x0 + 1, x1 + dx), Math.max(y0 + 1, y1 + dy)] : [x0 + dx, y0 + dy, x1 + dx, y1 + dy];
  redraw();
}

// What keys mean while the tool is on; null for those that mean what they always do
export function boxKey(event) {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.key === "Escape") return () => setBoxing(false);
  if (way) return () => nudge(way, event.shiftKey);
  if (!tool.box) return null;
  if (event.key === "Enter") return () => withCurrent(finish);
  return event.key === "n" ? () => finish(null) : null;
}

export function pressB(event) {
  if (event.repeat) return;
  if (tool.on) {
    setBoxing(false);
    return;
  }
  Object.assign(tool, { pressed: performance.now(), used: false });
  setBoxing(true);
  hint("Drag a box around an object, or move one with arrow keys (Shift: its size) and press Enter. Esc ends.");
}

function releaseB(event) {
  if (event.key !== "b" || !tool.pressed) return;
  const held = tool.used || tool.from || performance.now() - tool.pressed > HELD;
  tool.pressed = 0;
  if (held && !tool.from) setBoxing(false);
}

export function startBox() {
  const area = $("stage");
  area.addEventListener("pointerdown", down, { capture: true });
  area.addEventListener("pointermove", move, { capture: true });
  area.addEventListener("pointerup", up, { capture: true });
  area.addEventListener("pointercancel", cancel, { capture: true });
  area.addEventListener("click", (event) => {
    if (!tool.on || event.target.closest("button")) return;
    event.stopImmediatePropagation();
  }, { capture: true });
  $("viewer").addEventListener("keyup", releaseB);
  $("box").addEventListener("click", () => {
    setBoxing(!tool.on);
    $("list").focus({ preventScroll: true });
  });
  $("viewer").addEventListener("close", () => isOpen() || setBoxing(false));
  onLook(redraw);
}
