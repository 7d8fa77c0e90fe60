// Cards of a long list: only those near the window exist, and the place is kept when the list changes.

import { oncePerFrame } from "./base.js";

const ROOM = 900; // pixels above and below the window in which cards exist
const NEAR_TOP = 60;
const KEYS = ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp", "Home", "End"];

export class Grid {
  // told: key(item); card() makes an <li> whose first child takes the focus; fill(card, item); open(item, event)
  constructor(list, told) {
    Object.assign(this, { list, told, items: [], places: new Map(), cards: new Map(), current: null, row: 0, columns: 1 });
    this.layoutSoon = oncePerFrame(() => this.layout());
    addEventListener("scroll", this.layoutSoon, { passive: true });
    new ResizeObserver(this.layoutSoon).observe(list.parentElement);
    list.addEventListener("keydown", (event) => this.keyed(event));
    list.addEventListener("click", (event) => this.clicked(event));
    list.addEventListener("focusin", (event) => this.focused(event));
  }

  // The list anew; the card that is looked at stays where it is in the window
  show(items) {
    const held = this.anchor();
    const focus = this.list.contains(document.activeElement);
    const before = this.current === null ? 0 : this.places.get(this.current) || 0;
    this.items = items;
    this.places = new Map(items.map((item, place) => [this.told.key(item), place]));
    if (!this.places.has(this.current)) {
      const next = items[Math.min(before, items.length - 1)];
      this.current = next === undefined ? null : this.told.key(next);
    }
    this.layout(true);
    if (held !== null && this.places.has(held.key)) scrollBy(0, this.topOf(this.places.get(held.key)) - held.top);
    this.layout();
    if (focus) this.focus(this.current);
  }

  topOf(place) {
    return this.list.getBoundingClientRect().top + Math.floor(place / this.columns) * this.row;
  }

  anchor() {
    if (!this.row || scrollY < NEAR_TOP || this.list.hidden) return null;
    const shown = [...this.cards].filter(([, card]) => {
      const { top, bottom } = card.getBoundingClientRect();
      return bottom > NEAR_TOP && top < innerHeight;
    });
    const found = shown.find(([key]) => key === this.current) || shown[0];
    return found ? { key: found[0], top: this.topOf(this.places.get(found[0])) } : null;
  }

  measure() {
    const style = getComputedStyle(this.list);
    this.columns = Math.max(1, style.gridTemplateColumns.split(" ").length);
    const [card] = this.cards.values();
    if (card) this.row = card.offsetHeight + (parseFloat(style.rowGap) || 0);
  }

  // again: what is in the cards may differ
  layout(again) {
    if (this.list.hidden || !this.list.offsetParent) return;
    if (!this.cards.size && this.items.length) this.put(0, 1, false);
    this.measure();
    const rows = Math.ceil(this.items.length / this.columns);
    const { top } = this.list.getBoundingClientRect();
    const clamp = (row) => Math.min(Math.max(row, 0), rows);
    const first = this.row ? clamp(Math.floor((-top - ROOM) / this.row)) : 0;
    const last = this.row ? clamp(Math.ceil((innerHeight - top + ROOM) / this.row)) : rows;
    this.list.style.setProperty("padding-top", `${first * this.row}px`);
    this.list.style.setProperty("padding-bottom", `${Math.max(0, rows - last) * this.row}px`);
    this.put(first * this.columns, last * this.columns, again === true);
  }

  put(from, to, again) {
    const wanted = this.items.slice(from, to);
    const before = this.cards;
    this.cards = new Map();
    const fresh = [];
    wanted.forEach((item, i) => {
      const key = this.told.key(item);
      const known = before.get(key);
      const card = known || this.told.card();
      card.setAttribute("aria-posinset", from + i + 1);
      card.setAttribute("aria-setsize", this.items.length);
      card.firstChild.tabIndex = key === this.current ? 0 : -1;
      this.cards.set(key, card);
      if (!known || again) fresh.push([card, item]);
    });
    const cards = [...this.cards.values()];
    for (const [key, card] of before) if (!this.cards.has(key)) card.remove();
    cards.forEach((card, i) => this.list.children[i] === card || this.list.insertBefore(card, this.list.children[i] || null));
    fresh.forEach(([card, item]) => this.told.fill(card, item));
    if (this.current !== null && !this.cards.has(this.current) && cards.length) cards[0].firstChild.tabIndex = 0;
  }

  refill() {
    for (const [key, card] of this.cards) this.told.fill(card, this.items[this.places.get(key)]);
  }

  itemOf(element) {
    const card = element.closest(".card");
    for (const [key, known] of this.cards) if (known === card) return this.items[this.places.get(key)];
    return undefined;
  }

  currentItem() {
    return this.items[this.places.get(this.current)];
  }

  mark(key) {
    const before = this.cards.get(this.current);
    if (before) before.firstChild.tabIndex = -1;
    this.current = key;
    const card = this.cards.get(key);
    if (card) card.firstChild.tabIndex = 0;
  }

  // Scrolled into the window, and with the focus
  focus(key) {
    const place = this.places.get(key);
    if (place === undefined) return;
    this.mark(key);
    const top = this.topOf(place);
    if (top < 70) scrollBy(0, top - 90);
    else if (top + this.row > innerHeight - 20) scrollBy(0, top + this.row - innerHeight + 40);
    this.layout();
    const card = this.cards.get(key);
    if (card) card.firstChild.focus({ preventScroll: true });
  }

  keyed(event) {
    if (!KEYS.includes(event.key) || event.altKey || event.ctrlKey || event.metaKey || !this.items.length) return;
    const last = this.items.length - 1;
    const at = this.places.get(this.current) || 0;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + this.columns, ArrowUp: at - this.columns, Home: 0, End: last }[event.key];
    event.preventDefault();
    if (to >= 0 && to <= last) this.focus(this.told.key(this.items[to]));
  }

  focused(event) {
    const item = this.itemOf(event.target);
    if (item !== undefined) this.mark(this.told.key(item));
  }

  clicked(event) {
    const item = this.itemOf(event.target);
    if (item === undefined) return;
    this.mark(this.told.key(item));
    this.told.open(item, event);
  }
}
