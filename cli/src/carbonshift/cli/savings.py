"""The savings report: a run beside the same work at once and beside the best static cap, each figure with its basis."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from carbonshift.backtest.baselines import USD_PER_TONNE, Baseline, best_static_cap, run_at_limit
from carbonshift.common.accounting import J_PER_KWH, Usage
from carbonshift.common.events import GridTick
from carbonshift.common.power_curve import PowerCurve

__all__ = ["Row", "Savings", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way to do the work, over all devices."""

    name: str
    work_hours: float
    energy_kwh: float
    parked_energy_kwh: float
    cost_usd: float
    carbon_kg: float
    hours: float
    """Event time from the start until the last device was done."""
    unpriced_kwh: float
    """Energy in intervals without a price: in no sum of money."""
    uncounted_kwh: float
    """Energy in intervals without a carbon intensity: in no sum of CO2."""
    power_limit_w: float | None
    """The one limit of a baseline; None where it changed."""

    @property
    def total_usd(self) -> float:
        """Energy, and carbon at USD_PER_TONNE."""
        return self.cost_usd + self.carbon_kg / 1e3 * USD_PER_TONNE


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """The run, and what it is measured against."""

    run: Row
    run_now: Row
    static_cap: Row
    basis: str
    """Where the energy comes from, and with it cost and carbon: `modelled` on a simulated device."""
    curve: PowerCurve

    def as_json(self) -> dict[str, Any]:
        """Plain data; every figure under the basis it has."""
        rows = {"run": self.run, "run_now": self.run_now, "best_static_cap": self.static_cap}
        return {
            "basis": self.basis,
            "device_model": {"name": self.curve.name, "source": self.curve.source},
            "usd_per_tonne": USD_PER_TONNE,
            "after_completion": "a board counts nothing after its work is done",
            **{name: asdict(row) | {"total_usd": row.total_usd} for name, row in rows.items()},
            "saved_against": {
                name: {
                    "energy_share": _share(self.run.energy_kwh, row.energy_kwh),
                    "cost_usd": row.cost_usd - self.run.cost_usd,
                    "carbon_kg": row.carbon_kg - self.run.carbon_kg,
                    "carbon_share": _share(self.run.carbon_kg, row.carbon_kg),
                    "total_usd": row.total_usd - self.run.total_usd,
                    "total_share": _share(self.run.total_usd, row.total_usd),
                }
                for name, row in rows.items()
                if name != "run"
            },
        }

    def as_table(self) -> RenderableType:
        """For a terminal."""
        table = Table(
            box=None, header_style="dim", title=f"The same work, three ways ({self.basis})", title_style="bold"
        )
        table.add_column("", no_wrap=True)
        for column in ("work h", "kWh", "parked", "energy $", "CO2 kg", "total $", "done h"):
            table.add_column(column, justify="right", no_wrap=True)
        for row, style in ((self.run, "bold"), (self.run_now, ""), (self.static_cap, "")):
            table.add_row(
                row.name,
                f"{row.work_hours:.1f}",
                f"{row.energy_kwh:.2f}",
                f"{row.parked_energy_kwh:.2f}",
                f"{row.cost_usd:.3f}",
                f"{row.carbon_kg:.2f}",
                f"{row.total_usd:.3f}",
                f"{row.hours:.1f}",
                style=style,
            )
        lines = [
            f"against {row.name}: energy {_change(self.run.energy_kwh, row.energy_kwh)}, "
            f"bill {_change(self.run.cost_usd, row.cost_usd)}, CO2 {_change(self.run.carbon_kg, row.carbon_kg)}, "
            f"total {_change(self.run.total_usd, row.total_usd)}"
            for row in (self.run_now, self.static_cap)
        ]
        price = f"total: the energy bill, and CO2 at ${USD_PER_TONNE:.0f}/t; work: in hours of one board at full power"
        lines += [
            f"{row.name}: {row.unpriced_kwh:.2f} kWh have no known price, {row.uncounted_kwh:.2f} kWh no known carbon:"
            " they are in no sum"
            for row in (self.run, self.run_now, self.static_cap)
            if row.unpriced_kwh or row.uncounted_kwh
        ]
        return Group(table, Text(), *(Text(line) for line in lines), Text(price, style="dim"))


def compare(
    usages: Sequence[Usage],
    curve: PowerCurve,
    start: datetime,
    end: datetime,
    ticks: Sequence[GridTick],
    basis: str,
) -> Savings:
    """The run beside its baselines: every device's own work, begun at `start`.

    Args:
        usages: what each device of the run took.
        curve: the board that all of them are.
        start: when the run began, in event time.
        end: when it ended.
        ticks: the grid from `start` on, long enough for the slowest cap.
        basis: where the energy of the run comes from, as its telemetry says.
    """
    works_seconds = [usage.work_seconds for usage in usages]
    now = [run_at_limit(curve, curve.limits_w[-1], work, start, ticks) for work in works_seconds]
    capped = best_static_cap(curve, works_seconds, start, ticks)
    run = sum(usages, start=Usage())
    return Savings(
        run=_row("following the grid", [run], end - start, None),
        run_now=_baseline("at once, full power", now, start),
        static_cap=_baseline(f"static cap of {capped[0].limit_w:.0f} W", capped, start),
        basis=basis,
        curve=curve,
    )


def _baseline(name: str, runs: list[Baseline], start: datetime) -> Row:
    longest = max(run.finish for run in runs) - start
    return _row(name, [run.usage for run in runs], longest, runs[0].limit_w)


def _row(name: str, usages: list[Usage], took: timedelta, limit_w: float | None) -> Row:
    usage = sum(usages, start=Usage())
    return Row(
        name=name,
        work_hours=usage.work_seconds / 3_600,
        energy_kwh=usage.energy_j / J_PER_KWH,
        parked_energy_kwh=usage.parked_energy_j / J_PER_KWH,
        cost_usd=usage.cost_usd,
        carbon_kg=usage.carbon_g / 1e3,
        hours=took.total_seconds() / 3_600,
        unpriced_kwh=usage.unpriced_j / J_PER_KWH,
        uncounted_kwh=usage.uncounted_j / J_PER_KWH,
        power_limit_w=limit_w,
    )


def _share(run: float, other: float) -> float | None:
    """Saved share of `other`; None where that is not above 0, as at negative prices."""
    return 1 - run / other if other > 0 else None


def _change(run: float, other: float) -> str:
    share = _share(run, other)
    if share is None:
        return f"{run:.3f} instead of {other:.3f}"
    return f"{abs(share):.1%} {'less' if share >= 0 else 'more'}"
