"""A source of FiftyOne's remote model zoo. The model itself is in the package: see docs/bridges.md."""

from searchdet.integrations.fiftyone import download_model, load_model

__all__ = ["download_model", "load_model"]
