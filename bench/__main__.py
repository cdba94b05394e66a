"""`python -m bench [NAME ...]`: run the scripts one after another; each ends with its JSON line."""

import subprocess
import sys

SCRIPTS = ("scoring", "edge_pipeline", "journal", "ingest", "transport")


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
