// Pictures that are pasted, dropped or chosen: each becomes an exemplar of the current class.

import { $, counted } from "./base.js";
import { withCurrent } from "./ask.js";
import { paste } from "./deeds.js";
import { say } from "./say.js";

const isPicture = (file) => file.type.startsWith("image/");

function take(files) {
  const pictures = [...files].filter(isPicture);
  if (!pictures.length) {
    say("That is no picture. Paste or drop a JPEG or PNG file.");
    return;
  }
  withCurrent((label) => {
    say(`${counted(pictures.length, "picture is", "pictures are")} described\u2026`);
    pictures.forEach((file) => paste(file, label));
  });
}

function pasted(event) {
  const files = [...event.clipboardData.files];
  if (!files.length && ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
  event.preventDefault();
  take(files);
}

const brings = (event) => event.dataTransfer !== null && event.dataTransfer.types.includes("Files");

export function startPaste() {
  document.addEventListener("paste", pasted);
  document.addEventListener("dragover", (event) => {
    if (!brings(event)) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!brings(event)) return;
    event.preventDefault();
    take(event.dataTransfer.files);
  });
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    take($("file").files);
    $("file").value = "";
  });
}
