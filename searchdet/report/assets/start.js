// Decisions change here; everything else follows.

const later = after(350, () => $("viewer").open || relist());
const soon = oncePerFrame(() => {
  if ($("viewer").open) refreshViewer();
  else redraw(true);
});

function changed(always) {
  decide();
  refreshSide(always === true);
  soon();
  later();
}

decide();
startSide();
refreshSide(true);
startViewer();
startGallery();
document.documentElement.dataset.ready = "";
