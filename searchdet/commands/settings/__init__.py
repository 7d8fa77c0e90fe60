"""Settings files: what sets the options beside flags and variables."""
