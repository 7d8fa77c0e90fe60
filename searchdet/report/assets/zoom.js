// The picture of the window, nearer: by wheel, pinch, drag, keys and double click.

import { $, oncePerFrame, percent } from "./base.js";
import { extent, unit } from "./picture.js";
import { drawTiles } from "./tiles.js";

const LARGEST = 16; // pixels of the screen that a pixel of the picture becomes
const NEARER = 1.5;
const FAR = 4; // pixels of the screen that a pointer moves before it drags
const zoom = { svg: null, image: null, scale: 1, x: 0, y: 0, points: new Map(), dragged: false, start: null };

const sides = () => {
  const { clientWidth, clientHeight } = zoom.svg;
  return [Math.max(clientWidth, 1), Math.max(clientHeight, 1)];
};
const fitting = () => {
  const [wide, high] = sides();
  const [width, height] = extent(zoom.image);
  return Math.min(wide / width, high / height);
};
// Pixels of the screen a unit, where a pixel of the picture is `pixels` on the screen
const scaleFor = (pixels) => pixels / unit(zoom.image);

// Whether the picture is there at its own pixels
const isWhole = ({ full, size, page }) => (full ? !full.lost : Math.max(...size) <= page.thumbnail);

// x and y of the middle, in units; scale in pixels of the screen a unit
function place(x, y, scale) {
  const least = fitting();
  zoom.scale = Math.min(Math.max(scale, least), Math.max(least, scaleFor(LARGEST)));
  const [whole, tall] = extent(zoom.image);
  const [width, height] = sides().map((side) => side / zoom.scale);
  const within = (middle, part, all) => (part >= all ? all / 2 : Math.min(Math.max(middle, part / 2), all - part / 2));
  zoom.x = within(x, width, whole);
  zoom.y = within(y, height, tall);
  zoom.svg.setAttribute("viewBox", [zoom.x - width / 2, zoom.y - height / 2, width, height].join(" "));
  const shown = zoom.scale * unit(zoom.image);
  zoom.svg.classList.toggle("pixels", shown >= 2);
  $("stage").classList.toggle("near", zoom.scale > least * 1.001);
  $("zoom-note").textContent = `${percent(shown)}${isWhole(zoom.image) ? "" : ", of a thumbnail"}`;
  tilesSoon();
}

const tilesSoon = oncePerFrame(() => {
  if (!zoom.svg || !zoom.svg.isConnected) return;
  const [width, height] = sides().map((side) => side / zoom.scale);
  drawTiles(zoom.svg, zoom.image, [zoom.x - width / 2, zoom.y - height / 2, width, height], zoom.scale);
});

// The point of the picture under a point of the window
export function under(clientX, clientY) {
  const box = zoom.svg.getBoundingClientRect();
  const [wide, high] = sides();
  return [zoom.x + (clientX - box.left - wide / 2) / zoom.scale, zoom.y + (clientY - box.top - high / 2) / zoom.scale];
}

// Nearer by a factor, while what is under the point stays there
function zoomAt(factor, clientX, clientY) {
  const [x, y] = under(clientX, clientY);
  const before = zoom.scale;
  const after = Math.min(Math.max(before * factor, fitting()), Math.max(fitting(), scaleFor(LARGEST)));
  const share = before / after;
  place(x + (zoom.x - x) * share, y + (zoom.y - y) * share, after);
}

export const isNear = () => zoom.svg !== null && zoom.scale > fitting() * 1.001;

// To a box in units: at the picture's own pixels, or farther where it is larger than the stage
export function zoomTo([x, y, width, height]) {
  const [wide, high] = sides();
  const room = Math.min(wide / (width * 1.5), high / (height * 1.5));
  place(x + width / 2, y + height / 2, Math.max(fitting(), Math.min(room, scaleFor(4))));
}

// Into the view, as near as it is, where a box lies outside of it
export function reveal([x, y, width, height]) {
  const [wide, high] = sides().map((side) => side / zoom.scale);
  const outside = Math.abs(x + width / 2 - zoom.x) > wide / 2 || Math.abs(y + height / 2 - zoom.y) > high / 2;
  if (outside) place(x + width / 2, y + height / 2, zoom.scale);
}

export function zoomBy(factor, box) {
  if (!zoom.svg) return;
  if (factor > 1 && box) reveal(box);
  const middle = box && factor > 1 && !isNear() ? [box[0] + box[2] / 2, box[1] + box[3] / 2] : [zoom.x, zoom.y];
  place(...middle, zoom.scale * factor);
}

export const nearer = (box) => zoomBy(NEARER, box);
export const farther = () => zoomBy(1 / NEARER, null);
export function whole() {
  if (zoom.svg) place(0, 0, 0);
}

export function pan(across, down) {
  const [wide, high] = sides().map((side) => side / zoom.scale / 5);
  place(zoom.x + across * wide, zoom.y + down * high, zoom.scale);
}

// What is seen of the picture: its middle, width and height, in units
export function seenPart() {
  const [width, height] = sides().map((side) => side / zoom.scale);
  return { x: zoom.x, y: zoom.y, width, height };
}

// A picture that was drawn: looked at as before where it is the same image
export function attach(svg, image) {
  const same = zoom.image !== null && zoom.image.name === image.name && zoom.svg !== null && isNearBefore();
  const before = [zoom.x, zoom.y, zoom.scale];
  Object.assign(zoom, { svg, image });
  if (same) place(...before);
  else place(0, 0, 0);
}

const isNearBefore = () => $("stage").classList.contains("near");

export function detach() {
  zoom.svg = null;
  $("stage").classList.remove("near");
  $("zoom-note").textContent = "";
}

function wheel(event) {
  if (!zoom.svg) return;
  event.preventDefault();
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
  zoomAt(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), event.clientX, event.clientY);
}

function down(event) {
  if (!zoom.svg || event.button !== 0 || event.target.closest("button")) return;
  if (!zoom.points.size) zoom.dragged = false;
  zoom.points.set(event.pointerId, [event.clientX, event.clientY]);
  zoom.start = [event.clientX, event.clientY];
}

function move(event) {
  const before = zoom.points.get(event.pointerId);
  if (!before || !zoom.svg) return;
  const now = [event.clientX, event.clientY];
  if (!zoom.dragged && Math.hypot(now[0] - zoom.start[0], now[1] - zoom.start[1]) < FAR && zoom.points.size === 1) return;
  if (!zoom.dragged) {
    zoom.dragged = true; // captured only now: a click that does not drag belongs to what is under it
    $("stage").setPointerCapture(event.pointerId);
  }
  if (zoom.points.size === 2) pinch(event.pointerId, before, now);
  else place(zoom.x - (now[0] - before[0]) / zoom.scale, zoom.y - (now[1] - before[1]) / zoom.scale, zoom.scale);
  zoom.points.set(event.pointerId, now);
}

function pinch(id, before, now) {
  const [other] = [...zoom.points].filter(([one]) => one !== id).map(([, point]) => point);
  const apart = (point) => Math.max(Math.hypot(point[0] - other[0], point[1] - other[1]), 1);
  const middle = (point) => [(point[0] + other[0]) / 2, (point[1] + other[1]) / 2];
  const [from, to] = [middle(before), middle(now)];
  place(zoom.x - (to[0] - from[0]) / zoom.scale, zoom.y - (to[1] - from[1]) / zoom.scale, zoom.scale);
  zoomAt(apart(now) / apart(before), ...to);
}

const up = (event) => zoom.points.delete(event.pointerId);

function twice(event) {
  if (!zoom.svg || event.target.closest("button")) return;
  if (isNear()) whole();
  else {
    const [x, y] = under(event.clientX, event.clientY);
    place(x, y, Math.max(scaleFor(1), fitting() * 2));
  }
}

// box: that of the chosen candidate, or null
export function startZoom(box) {
  const area = $("stage");
  area.addEventListener("wheel", wheel, { passive: false });
  area.addEventListener("pointerdown", down);
  area.addEventListener("pointermove", move);
  area.addEventListener("pointerup", up);
  area.addEventListener("pointercancel", up);
  area.addEventListener("dblclick", twice);
  area.addEventListener("click", (event) => {
    if (zoom.dragged) event.stopPropagation();
    zoom.dragged = false;
  }, { capture: true });
  $("nearer").addEventListener("click", () => nearer(box()));
  $("farther").addEventListener("click", farther);
  $("whole").addEventListener("click", whole);
  new ResizeObserver(() => zoom.svg && zoom.svg.isConnected && place(zoom.x, zoom.y, isNearBefore() ? zoom.scale : 0)).observe(area);
}
