"""SIGKILLs the agent again and again at random moments: is the limit back each time, and within which time.

    python benchmarks/limit_kills.py [--kills N]

The agent's part that sets limits runs with its guard against a driver at NVML's ABI whose sets take 10 ms; it caps two
boards without pause. After each kill every limit has to be what was found at the start, and no file may say otherwise.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from limit_latency import fake_driver

FOUND_MW = 650_000
LEASE_SECONDS = 10.0


def main() -> None:
    """Kill, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    kills = parser.parse_args().kills
    moments, seconds, lies = random.Random(0), [], 0  # noqa: S311  # no secret
    with tempfile.TemporaryDirectory() as name:
        folder, captured = Path(name), Path(name) / "captured"
        driver = fake_driver(folder, {}, {})
        driver.state.set_delay_us = 10_000
        for _ in range(kills):
            with driver.capping_agent(captured, LEASE_SECONDS) as agent:
                agent.stdout.readline()
                time.sleep(moments.uniform(0, 0.2))
                agent.kill()
                killed = time.monotonic()
            while any(board.limit_mw != FOUND_MW for board in driver.state.board[:2]) or any(captured.glob("*.json")):
                lies += sum(
                    board.limit_mw != FOUND_MW
                    and not (captured / f"{board.uuid.decode()}.json").exists()
                    and board.limit_mw != FOUND_MW  # else it was given back, and the file with it, in between
                    for board in driver.state.board[:2]
                )
                if time.monotonic() > killed + LEASE_SECONDS:
                    raise SystemExit("a limit was not back within the lease")
                time.sleep(0.001)
            seconds.append(time.monotonic() - killed)
    print(
        f"{kills} kills: the limits found at the start were back {len(seconds)} times,"
        f" after {1e3 * statistics.median(seconds):.0f} ms (at most {1e3 * max(seconds):.0f}) of a lease of"
        f" {LEASE_SECONDS:g} s; a board under a cap that no file told of: {lies} times"
    )


if __name__ == "__main__":
    main()
