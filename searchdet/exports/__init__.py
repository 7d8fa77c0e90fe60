"""Writers of dataset files. They take records, never models; one module a format."""
