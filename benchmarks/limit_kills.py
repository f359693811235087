"""SIGKILLs the agent again and again at random moments: are limits and clocks back each time, and within which time.

    python benchmarks/limit_kills.py [--kills N]

The agent's part that sets limits and clocks runs with its guard against a driver at NVML's ABI whose sets take 10 ms;
it caps two boards without pause. In every other run it has locked their clocks at the lowest before; in the others it
locks and frees them without pause. After each kill every limit has to be what was found at the start, the clocks have
to be free, and no file may say otherwise.
"""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from limit_latency import fake_driver

FOUND_MW = 650_000
BOARDS = 2
LEASE_SECONDS = 10.0


def main() -> None:
    """Kill, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    kills = parser.parse_args().kills
    moments, seconds, lies, slowed = random.Random(0), [], 0, 0  # noqa: S311  # no secret
    with tempfile.TemporaryDirectory() as name:
        folder, captured = Path(name), Path(name) / "captured"
        driver = fake_driver(folder, *[{}] * BOARDS)
        driver.state.set_delay_us = 10_000
        boards = driver.state.board[:BOARDS]
        for number in range(kills):
            stays_slow = number % 2 == 0
            with driver.capping_agent(captured, LEASE_SECONDS, clocks="slow" if stays_slow else "both") as agent:
                agent.stdout.readline()
                if stays_slow:
                    agent.stdout.readline()
                time.sleep(moments.uniform(0, 0.2))
                agent.kill()
                killed = time.monotonic()
                slowed += any(board.locked_high_mhz for board in boards)
            while any(map(_changed, boards)) or any(captured.glob("*.json")):
                lies += sum(_untold(board, captured) for board in boards)
                if time.monotonic() > killed + LEASE_SECONDS:
                    raise SystemExit("a limit, or clocks, were not back within the lease")
                time.sleep(0.001)
            seconds.append(time.monotonic() - killed)
    print(
        f"{kills} kills, {slowed} of them with clocks locked: the limits found at the start were back, and the clocks"
        f" free, {len(seconds)} times, after {1e3 * statistics.median(seconds):.0f} ms (at most"
        f" {1e3 * max(seconds):.0f}) of a lease of {LEASE_SECONDS:g} s; a board capped or slowed that no file told of:"
        f" {lies} times"
    )


def _changed(board: Any) -> bool:
    return bool(board.limit_mw != FOUND_MW or board.locked_high_mhz)


def _untold(board: Any, captured: Path) -> bool:
    """Looked at again after its file: else it was given back, and the file with it, in between."""
    uuid = board.uuid.decode()
    capped = board.limit_mw != FOUND_MW and not (captured / f"{uuid}.json").exists() and board.limit_mw != FOUND_MW
    return capped or bool(
        board.locked_high_mhz and not (captured / f"{uuid}.clocks.json").exists() and board.locked_high_mhz
    )


if __name__ == "__main__":
    main()
