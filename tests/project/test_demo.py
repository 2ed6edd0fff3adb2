"""The demo runs to its end, from outside, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_succeeds_and_leaves_no_files(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9"}
    ended = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "+    isCached: true" in ended.stdout
    assert "\033" not in ended.stdout
    assert list(tmp_path.iterdir()) == []
    assert not (ROOT / "examples" / "site" / "cache").exists()
