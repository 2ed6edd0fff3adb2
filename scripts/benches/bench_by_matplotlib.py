"""`python bench_by_matplotlib.py POINTS.json PLOT.svg`: seconds by references, and the line that was fitted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "imgcache"  # the same points give the same bytes
from matplotlib import pyplot as plt  # noqa: E402 - after the backend is chosen


def main(source: str, target: str) -> None:
    """Draw the points on two logarithmic axes: a cost that grows with the work is a line of slope one, far right."""
    points = json.loads(Path(source).read_text(encoding="utf-8"))
    fixed, each = points["line"]
    figure, axes = plt.subplots(figsize=(6, 4))
    along = [10 ** (3 + step / 20) for step in range(61) if 10 ** (3 + step / 20) <= max(points["sizes"])]
    axes.plot(along, [fixed + each * size for size in along], label=f"{fixed:.2f} s + {1e6 * each:.1f} µs a reference")
    axes.plot(points["sizes"], points["seconds"], "o", label="measured (median)")
    axes.set(xscale="log", yscale="log", xlabel="references", ylabel="seconds", title="A sync with nothing to do")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(target, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
