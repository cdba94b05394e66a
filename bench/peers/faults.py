"""The faults that every line is put through, and one run without any that is timed."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from bench.peers.line import Counted, Line

Figures = dict[str, float | int | str]
LEAD_S, TAIL_S = 5, 10
"""Before a fault and after it, at the same pace."""
KILLS = 5
STEPS, STEP_S = 10, 0.1
"""Between two kills: how often more messages come, and after what time on average."""
SETTLE_S = 5.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """How much: messages a second during an outage, its length, messages of a kill and of the timed run."""

    per_s: int
    outage_s: int
    messages: int
    messages_timed: int
    chance: random.Random


def clean_outage(line: Line, plan: Plan) -> None:
    """The centre's broker is stopped."""
    pace(line, plan, LEAD_S)
    line.stop_centre()
    pace(line, plan, plan.outage_s)
    line.start_centre()
    pace(line, plan, TAIL_S)


def half_open(line: Line, plan: Plan) -> None:
    """Nothing moves between peer and centre and no socket says so; then it goes on where it stopped."""
    pace(line, plan, LEAD_S)
    line.link.freeze()
    pace(line, plan, plan.outage_s)
    line.link.thaw()
    pace(line, plan, TAIL_S)


def half_open_forgotten(line: Line, plan: Plan) -> None:
    """The same, but what was on its way is gone, and so are the connections: a router that has restarted."""
    pace(line, plan, LEAD_S)
    line.link.freeze()
    pace(line, plan, plan.outage_s)
    line.link.cut()
    line.link.restore()
    pace(line, plan, TAIL_S)


def kill_after_accept(line: Line, plan: Plan) -> None:
    """The peer dies as soon as it has taken the last message over; the centre is away from the start."""
    line.stop_centre()
    seconds = max(1, plan.messages // plan.per_s)
    pace(line, plan, seconds - 1)
    line.send(plan.per_s)
    line.wait_until_accepted(plan.per_s * seconds)
    line.kill()
    line.start()
    line.start_centre()
    line.wait_until_ready()


def kill_mid_stream(line: Line, plan: Plan) -> None:
    """The peer dies five times at random while messages come, with the centre there; they go on coming meanwhile."""
    each = max(1, plan.messages // (KILLS * STEPS))
    for _ in range(KILLS):
        deadly = plan.chance.randrange(1, STEPS)
        for step in range(STEPS):
            line.send(each)
            time.sleep(plan.chance.uniform(0, 2 * STEP_S))
            if step == deadly:
                line.kill()
                line.start()
        settle(line)


FAULTS: dict[str, Callable[[Line, Plan], None]] = {
    each.__name__: each for each in (clean_outage, half_open, half_open_forgotten, kill_after_accept, kill_mid_stream)
}


def broken(line: Line, fault: str, plan: Plan) -> Counted:
    """What is counted after a fault."""
    settle(line)
    FAULTS[fault](line, plan)
    return line.finish()


def timed(line: Line, plan: Plan) -> Figures:
    """Messages a second, the peer's CPU a message, its memory before and after; nothing is broken."""
    settle(line)
    peer = psutil.Process(line.process_id)
    idle_mib, before_s = peer.memory_info().rss / MIB, cpu_s(peer)
    began_s = time.monotonic()
    line.send(plan.messages_timed)
    arrived = line.wait_until_arrived(plan.messages_timed)
    return {
        "distinct": arrived.distinct,
        "per_s": arrived.distinct / (arrived.last_s - began_s),
        "cpu_us": (cpu_s(peer) - before_s) / plan.messages_timed * 1e6,
        "idle_rss_mib": idle_mib,
        "rss_mib": peer.memory_info().rss / MIB,
    }


def settle(line: Line) -> None:
    """Until the peer is connected and whatever it starts after that runs, so that no fault meets one half started."""
    line.wait_until_ready()
    time.sleep(SETTLE_S)


def cpu_s(process: psutil.Process) -> float:
    """User and system time of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def pace(line: Line, plan: Plan, seconds: int) -> None:
    """So many messages every second."""
    began_s = time.monotonic()
    for second in range(seconds):
        line.send(plan.per_s)
        time.sleep(max(0.0, began_s + second + 1 - time.monotonic()))
