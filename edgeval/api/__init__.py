"""The Python API: what ``edgeval.compare`` and its like are made of; import them from ``edgeval``."""
