"""``python -m searchdet``."""

from .cli import main

main()
