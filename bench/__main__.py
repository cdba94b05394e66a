"""`python -m bench [NAME ...]`: run the scripts one after another; each ends with its JSON line.

Without names those that need no data of others and no more than about a minute. Left out, each with `--json` too:

- `python -m bench.faults` (`make faults SHOTS=5000` is the quick look) and `python -m bench.backlog`, `--outage` too:
  the real programs for many minutes;
- `python -m bench.peers` (`make bench-peers`): other software under the same faults, half an hour, and installs it;
- `python -m bench.press_splits --history DIR` (10 min): needs a history;
- `python -m bench.rescoring` (4 min and 3 GB of disk): fills a database with 11 million rows of evidence;
- `python -m bench.cmapss` (2 min), `python -m bench.table_quality` (more than 3), `python -m bench.cdnow`: public
  data, see `ZHISAN_DATA`.
"""

import subprocess
import sys

SCRIPTS = (
    "scoring",
    "edge_pipeline",
    "model_swap",
    "journal",
    "ingest",
    "transport",
    "press_history",
    "press_signatures",
    "web",
    "latency",
    "tiering",
)


def main() -> int:
    """Run all, or those named; 1 when one failed."""
    failed = []
    for name in sys.argv[1:] or SCRIPTS:
        print(f"\n== bench.{name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}", "--json"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
