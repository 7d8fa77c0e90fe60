// Verdicts of the window by button and key, and where it goes after one.

import { $ } from "./base.js";
import { judge, judgeAs, redo, undo } from "./deeds.js";
import { classNames } from "./live.js";
import { chosenHere, look, nextOpen, refreshJudge, show } from "./look.js";
import { choose, redrawList, stage } from "./stage.js";

// The mark is there at once; what follows from it comes when the program has answered
function after(done) {
  const { image, chosen } = stage;
  redrawList();
  refreshJudge();
  done.then(() => {
    if (stage.image !== image) return;
    redrawList();
    refreshJudge();
  });
  goOn(image, chosen);
}

function goOn(image, j) {
  if (look.single) {
    if (look.at + 1 < look.items.length) show(look.at + 1, look.items[look.at + 1].row);
    return;
  }
  const next = nextOpen(image, j);
  if (next < 0) return;
  look.expected = image.id[next];
  choose(next);
}

export function say(verdict) {
  const at = chosenHere();
  if (at) after(judge(at, verdict, null));
}

export function sayClass(name) {
  const at = chosenHere();
  if (at && name !== undefined) after(judgeAs(at, name));
}

// One further in the list, and beyond its end in the next picture
export function stepOn(by) {
  const to = stage.order.indexOf(stage.chosen) + by;
  if (look.shown && !look.single && to >= 0 && to < stage.order.length) {
    choose(stage.order[to]);
    return;
  }
  const next = look.at + by;
  if (next >= 0 && next < look.items.length) show(next, look.items[next].row);
}

export const judgeKeys = {
  y: () => say("right"), Enter: () => say("right"), n: () => say("wrong"), Backspace: () => say("wrong"),
  j: () => stepOn(1), k: () => stepOn(-1), u: undo, r: redo,
};
for (let number = 1; number <= 9; number++) judgeKeys[number] = () => sayClass(classNames()[number - 1]);

export function startJudging() {
  $("right").addEventListener("click", () => say("right"));
  $("wrong").addEventListener("click", () => say("wrong"));
  $("as").addEventListener("click", (event) => {
    const button = event.target.closest("[data-class]");
    if (button) sayClass(button.dataset.class);
  });
  document.querySelectorAll("[data-undo]").forEach((button) => button.addEventListener("click", undo));
  document.querySelectorAll("[data-redo]").forEach((button) => button.addEventListener("click", redo));
}
