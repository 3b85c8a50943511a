"""Random networks by the thousand: lowered, executed by qonnx and by the exact engine, compared word by word.

    python benchmarks/random_networks.py --count 5000 --seed 1

Prints counts, and for every failure the number that gives the network again (``--count 1 --seed N --show``). Exit
code 1 on any failure.
"""

from __future__ import annotations

import argparse
import collections
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.random_check import check_graph
from support.random_graphs import build, spec_of


def main() -> int:
    """Check many networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print the operators of each network")
    options = parser.parse_args()
    counts: collections.Counter[str] = collections.Counter()
    refusals: collections.Counter[str] = collections.Counter()
    failures = 0
    start = time.monotonic()
    for seed in range(options.seed, options.seed + options.count):
        graph = build(spec_of(seed))
        if options.show:
            print(graph.spec)
            for node in graph.model.graph.node:
                print("  ", node.op_type, list(node.input), "->", list(node.output))
        verdict = check_graph(graph)
        counts[verdict.kind] += 1
        counts["words"] += verdict.words
        counts["explained words"] += verdict.explained
        if verdict.kind == "refused":
            refusals[verdict.detail[:110]] += 1
        if verdict.failed:
            failures += 1
            print(f"seed {seed}: {verdict.kind}: {verdict.detail}", flush=True)
    print(f"{options.count} networks in {time.monotonic() - start:.0f} s: {dict(counts)}")
    for text, count in refusals.most_common(12):
        print(f"  refused {count}: {text}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
