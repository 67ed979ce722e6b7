"""`make demo` on a machine that is set up: a real bundle goes in, and what is shown is what is there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def demo(folder: Path) -> str:
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "demo.py", folder], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_demo_imports_all_its_sessions_and_runs_again(tmp_path):
    for _ in range(2):
        shown = demo(tmp_path)
        placed = {path.name for path in tmp_path.glob("data/archive/DEMO/*") if path.is_dir()}
        assert {"doe_peter_ct", "doe_peter_mra", "doe_archibald_ct", "citizen_jan_ct", "pet_phantom"} <= placed
        assert all(session in shown for session in placed)
        lines = [json.loads(line) for line in (tmp_path / "receipt.jsonl").read_text().splitlines()]
        stored = {tmp_path / "data" / line["stored_as"] for line in lines if line["verdict"] == "stored"}
        assert len(stored) == 74
        assert stored == {path for path in tmp_path.glob("data/archive/**/files/*") if path.is_file()}
        assert f"accounts for all {len(lines)} files: " in shown
        assert "74 stored" in shown
