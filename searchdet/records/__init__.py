"""The record of one image: written, read back and decided over; no model is needed."""
