"""Prints the fault matrix: ours and the peers that are installed, side by side. A report: it fails on ours alone."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from .observe import observe
from .peers import installed
from .rows import BY_NAME, ROWS
from .table import cell, passed, render

OURS = "actorflow"


def main(arguments=None):
    """Play what was asked for and print the table. 1 if a row of ours does not pass."""
    options = _parser().parse_args(arguments)
    seen = {}
    for row in [row for row in ROWS if row.name in (options.row or BY_NAME)]:
        for peer in options.only or installed():
            facts = seen[row.name, peer] = observe(row.name, peer)
            print(f"{row.name:24} {peer:10} {cell(row, facts)}", file=sys.stderr, flush=True)
    print(render(seen, max(shutil.get_terminal_size().columns, 180), markdown=options.markdown))
    if options.json:
        options.json.write_text(json.dumps(list(seen.values()), indent=1) + "\n", encoding="utf-8")
    ours = {name: facts for (name, peer), facts in seen.items() if peer == OURS}
    return 0 if all(passed(BY_NAME[name], facts) for name, facts in ours.items()) else 1


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="PEER", choices=installed(), help="this pool; may be given again"
    )
    parser.add_argument("--row", action="append", metavar="ROW", choices=BY_NAME, help="this fault; may be given again")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was seen there")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
