"""Records against a ground truth: COCO figures, proposal recall, best thresholds."""
