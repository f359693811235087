"""A driver at NVML's ABI for tests and benchmarks: nvml.c, compiled, and its boards as Python sees them."""

import ctypes
import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

BOARDS, RULES, CLIENTS, PIDS = 16, 32, 64, 8
NUMBERS = (
    *("present", "lost", "takes_limits", "min_mw", "max_mw", "default_mw", "limit_mw", "limited_mw", "step_mw"),
    *("tells_power", "load_permille", "idle_mw", "counter", "energy_mj", "energy_at_ns", "persistent", "clocks"),
    *("locked_low_mhz", "locked_high_mhz", "mig", "instances", "virtualization"),
)
H100 = {
    "present": 1,
    "takes_limits": 1,
    "min_mw": 200_000,
    "max_mw": 700_000,
    "default_mw": 700_000,
    "limit_mw": 650_000,
    "limited_mw": 700_000,
    "tells_power": 1,
    "load_permille": 1_000,
    "idle_mw": 70_000,
    "persistent": 1,
    "clocks": 1,
    "mig": 0,
}


class Call(NamedTuple):
    """As the driver logs it."""

    pid: int
    at_seconds: float
    function: str
    uuid: str
    argument: int
    code: int


class Board(ctypes.Structure):
    """One board in the shared file: mW, mJ and MHz, as the driver has them."""

    _fields_ = (
        ("uuid", ctypes.c_char * 96),
        ("name", ctypes.c_char * 96),
        ("pci", ctypes.c_char * 32),
        *((name, ctypes.c_int64) for name in NUMBERS),
        ("pids", ctypes.c_int64 * PIDS),
    )


class Rule(ctypes.Structure):
    _fields_ = (
        ("function", ctypes.c_char * 64),
        *((name, ctypes.c_int64) for name in ("board", "code", "times", "delay_us")),
    )


class State(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int64) for name in ("boards", "init_code", "permitted", "set_delay_us")),
        ("clients", ctypes.c_int64 * CLIENTS),
        ("rules", Rule * RULES),
        ("board", Board * BOARDS),
    )


class FakeNvml:
    """A driver and its boards."""

    def __init__(self, library: Path, folder: Path, boards: tuple[dict, ...]) -> None:
        self.state_path, self.log_path = folder / "nvml.state", folder / "nvml.log"
        self.state_path.write_bytes(bytes(ctypes.sizeof(State)))
        self.log_path.touch()
        self.library = library
        with self.state_path.open("r+b") as file:
            self.state = State.from_buffer(mmap.mmap(file.fileno(), 0))
        self.state.boards, self.state.permitted = len(boards), 1
        for number, given in enumerate(boards):
            board = self.state.board[number]
            values = {"uuid": f"GPU-{uuid4()}", "name": "NVIDIA H100 80GB HBM3", "pci": f"0000:{number + 1:02x}:00.0"}
            for name, value in (values | H100 | given).items():
                setattr(board, name, value.encode() if isinstance(value, str) else value)

    def capping_agent(self, folder: Path, lease_seconds: float, *, clocks: str = "free") -> subprocess.Popen[str]:
        """One that caps every board without pause, its captured limits in `folder`.

        Clocks are left `free`, locked once (`slow`), or locked and freed without pause (`both`).
        """
        script = Path(__file__).with_name("capping_agent.py")
        return subprocess.Popen(
            [sys.executable, str(script), str(folder), str(lease_seconds), clocks],
            env=os.environ | self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to load this driver instead of one that may be installed."""
        return {
            "LD_LIBRARY_PATH": str(self.library.parent),
            "FAKE_NVML_STATE": str(self.state_path),
            "FAKE_NVML_LOG": str(self.log_path),
        }

    def board(self, number: int = 0) -> Board:
        return self.state.board[number]

    def uuid(self, number: int = 0) -> str:
        return self.board(number).uuid.decode()

    def fail(self, function: str, code: int, *, board: int = -1, times: int = -1, delay_seconds: float = 0.0) -> None:
        """Have `function` return `code`, or with code 0 take its time."""
        rule = next(rule for rule in self.state.rules if not rule.times)
        rule.function, rule.board, rule.code = function.encode(), board, code
        rule.delay_us, rule.times = round(delay_seconds * 1e6), times

    def heal(self) -> None:
        for rule in self.state.rules:
            rule.times = 0

    def reload(self) -> None:
        """The driver is loaded anew: counters from zero, limits at their defaults, clocks free."""
        for board in self.state.board[: self.state.boards]:
            board.energy_mj, board.limit_mw = 0, board.default_mw
            board.locked_low_mhz = board.locked_high_mhz = 0

    def calls(self, function: str | None = None) -> list[Call]:
        """What was logged: init, shutdown and whatever sets something."""
        found = []
        for line in self.log_path.read_text().splitlines():
            pid, at_ns, name, uuid, argument, code = line.split()
            found.append(Call(int(pid), int(at_ns) / 1e9, name, uuid, int(argument), int(code)))
        return [call for call in found if function in (None, call.function)]


def compiled(folder: Path) -> Path | None:
    """The library, made in `folder`; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "libnvidia-ml.so.1"
    options = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1")
    subprocess.run([compiler, *options, "-o", str(library), str(Path(__file__).with_name("nvml.c"))], check=True)
    return library
