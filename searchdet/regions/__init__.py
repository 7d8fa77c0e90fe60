"""Regions of an image: proposals with their embeddings, remembered by content."""
