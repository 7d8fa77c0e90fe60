"""Many images: one record each, in this process or in one that can be ended."""
