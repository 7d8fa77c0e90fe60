// What a person does, one step after the other: sent, told, and followed by what changed.

import { send, sendFile } from "./api.js";
import { isTrouble, live, take } from "./live.js";
import { sayChange, sayError } from "./say.js";

let chain = Promise.resolve();

async function perform(event, sending) {
  let change;
  try {
    change = await sending();
  } catch (error) {
    if (!isTrouble(error)) throw error;
    sayError(error);
    return null;
  }
  live.changes = new Map(change.changed.map(({ i, before, after }) => [i, { before, after }]));
  sayChange(event, change);
  take(change.now);
  return change;
}

function inTurn(event, sending) {
  const done = chain.then(() => perform(event, sending));
  chain = done.catch(() => {});
  return done;
}

const known = () => Math.max(0, live.version);

// The change, or null where it was refused, which is told then
export const act = (event) => inTurn(event, () => send(`/api/events?since=${known()}`, { event }));

// Sent even where the page knows of nothing to undo: what was done a moment ago is not in its state yet
export const undo = () => act({ kind: "undo" });
export const redo = () => act({ kind: "redo" });

// at: an image and the place of a candidate in it
export async function judge({ image, j }, verdict, label) {
  const before = image.verdicts.get(j);
  image.verdicts.set(j, { verdict, label });
  const change = await act({ kind: "judge", image: image.name, row: image.id[j], verdict, label });
  if (change !== null) return;
  if (before === undefined) image.verdicts.delete(j);
  else image.verdicts.set(j, before);
}

// A class by its name: a detection's own is right, another one is other
export function judgeAs(at, name) {
  const own = at.image.page.classes[at.image.label[at.j]];
  return name === own ? judge(at, "right", null) : judge(at, "other", name);
}

export function paste(file, label) {
  const name = encodeURIComponent(file.name || "pasted");
  const of = label === null ? "" : `&label=${encodeURIComponent(label)}`;
  return inTurn({ kind: "paste", label }, () => sendFile(`/api/pictures?since=${known()}&name=${name}${of}`, file));
}
