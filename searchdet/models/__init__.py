"""Which weight files there are, where they come from, and whether one is what it should be."""
