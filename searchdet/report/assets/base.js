// What all parts share: elements made without HTML text, numbers as text, colours.

export const $ = (id) => document.getElementById(id);

export function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function draw(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function block(name) {
  const found = $(name);
  return found === null ? null : found.textContent;
}

export const minus = (text) => text.replace("-", "\u2212");
const fixed = (value, digits) => (Number.isNaN(value) || value === null ? "\u2013" : minus(value.toFixed(digits)));
export const short = (value) => fixed(value, 3);
export const exact = (value) => fixed(value, 6);
export const percent = (value) => `${Math.round(100 * value)}\u202f%`;
export const counted = (count, one, many) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

// Far apart in hue and lightness, and bright on most photographs.
const PALETTE = [
  "#ff5a3c", "#2bb8ff", "#ffc21a", "#2fd08a", "#d26bff", "#ff7ab8", "#a4d82a", "#7d8cff", "#ff9440", "#33d1cf",
];
export function colourOf(number) {
  if (number < PALETTE.length) return PALETTE[number];
  const hue = (number * 137.508) % 360;
  return `hsl(${hue.toFixed(0)} 85% ${number % 2 ? 58 : 68}%)`;
}

export function dot(number) {
  const element = make("i", { class: "dot", "aria-hidden": "true" });
  element.style.setProperty("--own", colourOf(number));
  return element;
}

export function after(milliseconds, call) {
  let waiting = 0;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(call, milliseconds);
  };
}

export function oncePerFrame(call) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      call();
    });
  };
}
