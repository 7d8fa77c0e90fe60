"""``searchdet.integrations.cvat``'s function for points and boxes, as a module of its own: CVAT's tools
call ``create`` of the module that is named."""

from __future__ import annotations

from .cvat import create_interaction as create

__all__ = ["create"]
