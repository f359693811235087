"""What a board draws and how fast it trains under each power limit."""

from dataclasses import dataclass, replace
from typing import Self

__all__ = ["CURVES", "RESNET18_V100", "RESNET50_A40", "PowerCurve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCurve:
    """Draw and speed against the power limit, linear between the measured points; a limit is not a draw."""

    name: str
    source: str
    limits_w: tuple[float, ...]
    """Power limits that were measured, rising."""
    draws_w: tuple[float, ...]
    """Mean draw while training under each limit."""
    speeds: tuple[float, ...]
    """Training speed under each limit as a share of the speed under the highest."""
    parked_w: float
    """Draw with the model in memory and no step running."""
    idle_w: float
    """Draw with no process on the board."""

    def scaled(self, factor: float) -> Self:
        """A board of so many times the watts and the same speeds."""
        return replace(
            self,
            name=self.name if factor == 1 else f"{self.name}, its watts times {factor:g}",
            limits_w=tuple(watts * factor for watts in self.limits_w),
            draws_w=tuple(watts * factor for watts in self.draws_w),
            parked_w=self.parked_w * factor,
            idle_w=self.idle_w * factor,
        )

    def limit_at(self, power_fraction: float) -> float:
        """The limit at that share of the range between the lowest and the highest."""
        low, high = self.limits_w[0], self.limits_w[-1]
        return low + power_fraction * (high - low)

    def limit_for(self, speed: float) -> float:
        """The lowest limit that gives `speed`; outside the measured ones the nearest."""
        return _interpolate(speed, self.speeds, self.limits_w)

    def draw_w(self, limit_w: float) -> float:
        """Mean draw while training under `limit_w`; outside the measured limits that of the nearest."""
        return _interpolate(limit_w, self.limits_w, self.draws_w)

    def speed(self, limit_w: float) -> float:
        """Speed under `limit_w`, 1.0 = full; outside the measured limits that of the nearest."""
        return _interpolate(limit_w, self.limits_w, self.speeds)


def _interpolate(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    if x <= xs[0]:
        return ys[0]
    for left, right, low, high in zip(xs, xs[1:], ys, ys[1:], strict=False):
        if x <= right:
            return low + (high - low) * (x - left) / (right - left)
    return ys[-1]


RESNET18_V100 = PowerCurve(
    name="ResNet-18 on a V100 PCIe",
    source="draw and speed as published for ResNet-18 on a V100, first publication not traced; parked and idle assumed",
    limits_w=(100.0, 125.0, 150.0, 250.0),
    draws_w=(98.4, 123.2, 142.4, 190.2),
    speeds=(0.641, 0.849, 0.981, 1.0),
    parked_w=43.0,
    idle_w=25.0,
)
"""The reference board: the setpoints of a GridState are meant for it."""

RESNET50_A40 = PowerCurve(
    name="ResNet-50 on an A40",
    source="19.4 % less energy in 4.9 % more time under 200 W as published for ResNet-50 on an A40, first publication"
    " not traced; that it draws all of the 200 W, and parked and idle, are assumed",
    limits_w=(200.0, 300.0),
    draws_w=(200.0, 200.0 * 1.049 / (1.0 - 0.194)),
    speeds=(1.0 / 1.049, 1.0),
    parked_w=60.0,
    idle_w=30.0,
)

CURVES = {"resnet18-v100": RESNET18_V100, "resnet50-a40": RESNET50_A40}
"""Every published curve, by the name it is asked for."""
