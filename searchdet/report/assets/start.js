// Everything is set up here, and follows the decisions.

import { after, oncePerFrame, $ } from "./base.js";
import { refreshSide, startSide } from "./controls.js";
import { redraw, relist, startGallery } from "./gallery.js";
import { decide, onChange } from "./state.js";
import { startTruth } from "./truth.js";
import { onVerdict, startVerdicts } from "./verdicts.js";
import { openViewer, refreshViewer, startViewer } from "./viewer.js";

const later = after(350, () => $("viewer").open || relist());
const soon = oncePerFrame(() => {
  if ($("viewer").open) refreshViewer();
  else redraw(true);
});

onChange((always) => {
  refreshSide(always);
  soon();
  later();
});

decide();
startVerdicts();
startTruth();
startSide();
refreshSide(true);
startViewer();
startGallery(openViewer);
onVerdict(() => $("viewer").open || relist());
document.documentElement.dataset.ready = "";
