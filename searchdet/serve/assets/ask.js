// Windows that ask: the name of a class, two classes that become one, and the keys.

import { $ } from "./base.js";
import { act } from "./deeds.js";
import { classNames, live, makeCurrent, settled } from "./live.js";

const LONGEST = 200;
const BREAKS = /[\p{Cc}\p{Zl}\p{Zp}]/u; // controls and ends of lines, in no name
const asked = { name: null, then: null };

// What is wrong with a name, or ""
function troubleOf(name) {
  if (!name) return "Type a name.";
  if (name.length > LONGEST) return `A name has at most ${LONGEST} letters.`;
  return BREAKS.test(name) ? "A name holds no ends of lines." : "";
}

function refresh() {
  const to = $("class-name").value.trim();
  const exists = classNames().includes(to) && to !== asked.name;
  const merges = asked.name !== null && exists;
  $("class-ok").textContent = merges ? "Merge" : asked.name === null ? "Add" : "Rename";
  $("class-ok").disabled = Boolean(troubleOf(to)) || to === asked.name || (asked.name === null && exists);
  const taken = asked.name === null && exists;
  $("class-note").textContent = merges ? `All exemplars of ${asked.name} become exemplars of ${to}.` : taken ? "There is a class of this name." : "";
}

// name: the class that gets another name, null for a new one; to: what it may be called; then: is called with it
export function askClass(name, to, then) {
  Object.assign(asked, { name, then: then || null });
  $("class-title").textContent = name === null ? "A new class" : `Rename ${name}`;
  $("class-name").value = to || name || "";
  $("merge-list").replaceChildren(...classNames().filter((other) => other !== name).map((other) => {
    const option = document.createElement("option");
    option.value = other;
    return option;
  }));
  $("class-hint").hidden = name === null;
  refresh();
  $("class-window").showModal();
  $("class-name").select();
}

// What an exemplar is of: the current class, or the first one, whose name is asked for
export function withCurrent(call) {
  if (live.current === undefined) askClass(null, "", call);
  else call(live.current);
}

async function done(event) {
  event.preventDefault();
  const name = $("class-name").value.trim();
  if ($("class-ok").disabled) return;
  $("class-window").close();
  const added = asked.name === null;
  const held = live.current === asked.name;
  const { then } = asked;
  const change = await act(added ? { kind: "add_class", label: name } : { kind: "rename_class", label: asked.name, to: name });
  if (change === null || !(added || held)) return;
  await settled();
  makeCurrent(name);
  if (then) then(name);
}

export function showKeys() {
  if (!$("keys").open) $("keys").showModal();
}

export function startAsk() {
  $("class-name").addEventListener("input", refresh);
  $("class-form").addEventListener("submit", done);
  for (const id of ["keys", "class-window"]) {
    $(id).addEventListener("click", (event) => event.target === $(id) && $(id).close());
    $(id).querySelector("[data-close]").addEventListener("click", () => $(id).close());
  }
  document.querySelectorAll("[data-keys]").forEach((button) => button.addEventListener("click", showKeys));
}
