"""`python -m bench`: the table of targets, measured.

Exit status 1 if a target was missed, 2 if a row could not be measured.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from pathlib import Path

from bench.procs import BenchError, sigterm_as_exit
from bench.rows import MEASURES
from bench.session import Session
from bench.table import Row, render


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rows", help="only these, for example 1,4,9", default="")
    parser.add_argument("--pairs", type=int, help="alternating pairs for a ratio (5)", default=5)
    parser.add_argument("--quick", action="store_true", help="a fifth of the events, two pairs")
    parser.add_argument("--floor", action="store_true", help="measure bench/floor.py instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    return parser.parse_args()


def measure(session: Session, wanted: set[str]) -> tuple[list[Row], list[str]]:
    """All rows that are wanted, and why some could not be had."""
    rows: list[Row] = []
    errors: list[str] = []
    for numbers, take in MEASURES:
        if wanted.isdisjoint(numbers):
            continue
        started = time.monotonic()
        try:
            for row in take(session):
                if row.number in wanted:
                    rows.append(row)
                    print("  ".join(row.cells()), file=sys.stderr, flush=True)
        except (BenchError, OSError) as error:
            errors.append(f"cannot measure row {', '.join(numbers)}: {error}")
            print(errors[-1], file=sys.stderr, flush=True)
        print(f"({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
    return rows, errors


def main() -> int:
    """Measure, print, judge."""
    args = arguments()
    sigterm_as_exit()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    session = Session(pairs=2 if args.quick else args.pairs, quick=args.quick, floor=args.floor)
    known = [number for numbers, _ in MEASURES for number in numbers]
    wanted = {number.strip() for number in args.rows.split(",") if number.strip()} or set(known)
    if unknown := wanted - set(known):
        print(f"cannot measure row {', '.join(sorted(unknown))}: no such row", file=sys.stderr)
        return 2
    rows, errors = measure(session, wanted)
    print(render(sorted(rows, key=lambda row: int(row.number))))
    for error in errors:
        print(error)
    if args.json:
        args.json.write_text(json.dumps([row.to_json() for row in rows], indent=1) + "\n")
    if errors:
        return 2
    shutil.rmtree(session.scratch, ignore_errors=True)
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
