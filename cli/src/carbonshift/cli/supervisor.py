"""Runs services as child processes: restarted when they die, ended together, never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from carbonshift.common.embedded import die_with_parent
from carbonshift.common.errors import InputError

__all__ = ["Program", "Supervisor"]

STOP_SECONDS = 15.0
QUICK_DEATH_SECONDS = 15.0
"""A service whose settings are wrong has said so by then, imports on a busy machine included."""
QUICK_DEATHS = 3
RESTART_PAUSE_SECONDS = 1.0
BAD_INPUT = 2
"""Exit code of a process that was told something wrong."""


@dataclass(slots=True, kw_only=True)
class Program:
    """One child: what to start, and how often it has died young."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    """Where its output goes; None = to ours."""
    restart: bool = True
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    quick_deaths: int = 0


class Supervisor:
    """Starts programs and looks after them until the block ends; start it from the main thread."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._programs: list[Program] = []

    def start(self, program: Program) -> None:
        """Start `program`; on Linux it ends with us even when we are killed."""
        self._programs.append(program)
        self._spawn(program)

    def start_service(self, service: str, environment: Mapping[str, str], log: Path | None = None) -> None:
        """Start one of our services, by its name."""
        module = f"carbonshift.{service.partition(':')[0].replace('-', '_')}"
        command = (sys.executable, "-m", module)
        self.start(Program(name=service, command=command, environment=environment, log=log))

    def check(self) -> str | None:
        """Start again what has died; the name of a program that keeps dying young, else None.

        Raises: InputError where one does not take its settings: no repeat mends that.
        """
        for program in self._programs:
            process = program.process
            if process is None or process.poll() is None or not program.restart:
                continue
            if process.returncode == BAD_INPUT:
                raise InputError(f"{program.name} does not take its settings", "its own line above says what to mend")
            young = time.monotonic() - program.started_at < QUICK_DEATH_SECONDS
            program.quick_deaths = program.quick_deaths + 1 if young else 0
            if program.quick_deaths >= QUICK_DEATHS:
                return program.name
            self._tell(f"{program.name} has ended with {process.returncode}: it is started again")
            time.sleep(RESTART_PAUSE_SECONDS)
            self._spawn(program)
        return None

    def has_ended(self, name: str) -> bool:
        """Whether a program that was started, and not stopped by us, runs no more."""
        return any(p.name == name and p.process is not None and p.process.poll() is not None for p in self._programs)

    def stop(self, *names: str) -> None:
        """SIGTERM to these programs, or to all, the last started first; SIGKILL to what has not ended in 15 s."""
        stopped = [program for program in reversed(self._programs) if not names or program.name in names]
        for program in stopped:
            if program.process and program.process.poll() is None:
                program.process.send_signal(signal.SIGTERM)
        give_up = time.monotonic() + STOP_SECONDS
        for program in stopped:
            if program.process:
                try:
                    program.process.wait(max(0.1, give_up - time.monotonic()))
                except subprocess.TimeoutExpired:
                    self._tell(f"{program.name} has not ended in {STOP_SECONDS:.0f} s and is killed")
                    program.process.kill()
                    program.process.wait()
            self._programs.remove(program)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, program: Program) -> None:
        sink: IO[bytes] | None = program.log.open("ab") if program.log else None
        try:
            program.process = subprocess.Popen(
                program.command,
                env=os.environ | dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,  # Ctrl-C goes to us, and we end them in order
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  # one system call, no lock taken
            )
        finally:
            if sink:
                sink.close()
        program.started_at = time.monotonic()
