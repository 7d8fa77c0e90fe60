"""What is normal, from images of good parts, and how far each region of an image is from it.

Two models of the backbone's cells, both of the field: a subspace (SubspaceAD, arXiv 2602.23013) and the
nearest normal cell (AnomalyDINO, arXiv 2405.14529). Everything is in units of what good parts show that
were left out, so limits hold in any backbone's space.
"""

from __future__ import annotations

from . import suited
from .learn import Teacher, alone, learn
from .regions import Unusual
from .types import BY_IMAGE, Normality, of_images

__all__ = ["BY_IMAGE", "Normality", "Teacher", "Unusual", "alone", "learn", "of_images", "suited"]
