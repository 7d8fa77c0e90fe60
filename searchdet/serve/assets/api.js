// What the page asks of the program that it came from.

// An answer that says no, or none at all: both are sentences for the person who waits.
export class Refused extends Error {}
export class Lost extends Error {}

async function answer(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Lost("The program does not answer, so nothing was changed. See whether `searchdet serve` still runs, then try again.");
  }
  let value;
  try {
    value = await response.json();
  } catch {
    throw new Refused(`The program's answer cannot be read (${response.status}). Load the page again.`);
  }
  if (!response.ok) throw new Refused(value.error || `The program says no (${response.status}).`);
  return value;
}

export const get = (path) => answer(path, { headers: { Accept: "application/json" } });

export const send = (path, body) =>
  answer(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const sendFile = (path, file) => answer(path, { method: "POST", headers: { "Content-Type": file.type }, body: file });

export const pictureOf = (i, side) => `/api/images/${i}/picture?side=${side}`;
