"""One file a verb: a frozen config and a function that returns an exit code."""
