"""Which images are meant, and the one reader of image files."""
