"""Regions of many images in one folder, to be searched with any exemplars."""
