"""Makes the archives of the benchmark: python -m bench.generate [--only a,d] [--scale 0.1]."""

from __future__ import annotations

import argparse
import time

from bench import archives


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(archives.RECIPES), help="keys of the archives, comma separated")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full number of objects")
    arguments = parser.parse_args()
    for key in arguments.only.split(","):
        started = time.monotonic()
        made = archives.make(key, arguments.scale)
        ratio = made.packed_bytes / made.unpacked_bytes
        print(
            f"{key}  {made.title}: {made.files} files, {made.unpacked_bytes / 1e6:.0f} MB, packed to {ratio:.2f}"
            f"  ({time.monotonic() - started:.1f} s)  {made.path}"
        )


if __name__ == "__main__":
    main()
