"""Mask arithmetic: run-length encoding, shape, polygons. Import the module that is needed."""
