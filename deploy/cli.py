"""The command `zhisan`: hands over to the program that the first word names, and loads no other."""

import gc
import importlib
import os
import sys

PROGRAMS = {
    "up": ("deploy.local.up", "run the whole system on this machine: broker, cloud, simulated plant, gateway"),
    "replay": ("deploy.replay", "push a recorded file through a running gateway"),
    "edge": ("edge_agent.cli", "the gateway: run, check"),
    "gateway": ("edge_agent.identity.cli", "a gateway's identity: claim"),
    "cloud": ("cloud.cli", "the cloud: run, check"),
    "models": ("deploy.models_cli", "models: build the default bundle"),
    "sim": ("deploy.sim_cli", "a simulated plant of OPC UA presses alone; press-history: months of production"),
}


def main() -> None:
    """Run the program that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in PROGRAMS:
        lines = [f"  {word:8}{what}" for word, (_, what) in PROGRAMS.items()]
        print("usage: zhisan COMMAND ...\n\n" + "\n".join(lines) + "\n\n`zhisan COMMAND --help` says more.")
        sys.exit(0 if name in ("", "-h", "--help") else 2)
    if name == "edge":  # one press's matrices are small: threads of BLAS cost 300 ms where one needs 5
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if name in ("models", "cloud"):  # 40,000 rows fit no faster on two threads, and forty times slower beside others
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    module, _ = PROGRAMS[name]
    gc.disable()  # what is imported stays: a fifth of the start went to looking for garbage in it
    try:
        program = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("cloud", "edge_agent", "deploy", "simulators", "models"):
            raise
        sys.exit(f"`zhisan {name}` needs the package {error.name}: install the extra that brings it (see README.md)")
    finally:
        gc.enable()
    sys.exit(program.main(sys.argv[2:]))


if __name__ == "__main__":
    main()
