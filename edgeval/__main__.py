"""``python -m edgeval`` is ``edgeval``."""

from edgeval.cli import main

main()
