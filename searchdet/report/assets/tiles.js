// The tiles of a full picture that a view needs, from the folder beside the page.

import { draw } from "./base.js";
import { unit } from "./picture.js";

// Columns or rows of tiles that a stretch from `low` to `high` units touches
function touched(low, high, side, count) {
  return [Math.max(0, Math.floor(low / side)), Math.min(count - 1, Math.floor(high / side))];
}

function wantedAt(image, level, [x, y, width, height]) {
  const side = image.page.tile * 2 ** level * unit(image);
  const [columns, rows] = image.size.map((pixels) => Math.ceil(Math.ceil(pixels / 2 ** level) / image.page.tile));
  const [left, right] = touched(x, x + width, side, columns);
  const [top, bottom] = touched(y, y + height, side, rows);
  const found = [];
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) found.push(`${level}-${row}-${column}`);
  }
  return found;
}

function tile(image, name) {
  const [level, row, column] = name.split("-").map(Number);
  const side = image.page.tile * 2 ** level;
  const [width, height] = image.size;
  const [x, y] = [column * side, row * side];
  const scale = unit(image);
  const place = {
    x: x * scale, y: y * scale, width: Math.min(side, width - x) * scale, height: Math.min(side, height - y) * scale,
  };
  const made = draw("image", {
    href: `${image.full.folder}/${name}.jpg`, ...place, preserveAspectRatio: "none", "data-tile": name,
  });
  made.addEventListener("error", () => {
    image.full.lost = true;
    made.remove();
  });
  return made;
}

// scale: pixels of the screen a unit. The smallest picture stays below the tiles until they are there.
export function drawTiles(svg, image, view, scale) {
  const group = svg.querySelector("g.tiles");
  if (!group || !image.full || image.full.lost) return;
  const density = scale * unit(image) * devicePixelRatio;
  const last = image.full.levels - 1;
  const level = Math.min(last, Math.max(0, Math.floor(Math.log2(1 / density) + 1e-6)));
  const wanted = new Set([`${last}-0-0`, ...wantedAt(image, level, view)]);
  if (level + 1 < last) wantedAt(image, level + 1, view).forEach((name) => wanted.add(name));
  for (const old of [...group.children]) {
    if (wanted.has(old.dataset.tile)) wanted.delete(old.dataset.tile);
    else old.remove();
  }
  for (const name of [...wanted].sort((a, b) => parseInt(b, 10) - parseInt(a, 10))) {
    const made = tile(image, name);
    const finer = [...group.children].find((other) => parseInt(other.dataset.tile, 10) < parseInt(name, 10));
    group.insertBefore(made, finer || null);
  }
}
