"""SSIMULACRA2 of pairs of files, run by the Python that has `ssimulacra2`.

The first argument names a file of JSON, a list of [reference, variant], both of the same size; the scores are printed
as a list in that order. 100 is the reference itself, 90 cannot be told from it, 70 is high quality.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def main() -> None:
    """Score the pairs, one process for each core."""
    pairs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        print(json.dumps(list(pool.map(_score, pairs))))


def _score(pair: tuple[str, str]) -> float:
    return float(importlib.import_module("ssimulacra2").compute_ssimulacra2(*pair))


if __name__ == "__main__":
    main()
