"""The facts of a sheet by name, each as a sentence would say it, and how some stand to others. Pure."""

from collections.abc import Iterator

from carbonshift.common.events import Pulse
from carbonshift.explain.facts import FactSheet, FleetFacts, Next, Signal
from carbonshift.explain.figures import grouped

__all__ = ["spoken_facts"]


def spoken_facts(sheet: FactSheet) -> dict[str, str]:
    """What can be said of `sheet`; a name that is missing is not known, or not so."""
    return dict(
        (
            *_state(sheet),
            *_signal("price", sheet.price, "$/MWh"),
            *_signal("carbon", sheet.carbon, "g/kWh"),
            *_score(sheet),
            *_limits(sheet),
            *_doubts(sheet),
            *_fleet(sheet.fleet),
            *_coming(sheet.next),
        )
    )


def _state(sheet: FactSheet) -> Iterator[tuple[str, str]]:
    yield "state", sheet.state.value
    yield "since", sheet.since
    yield "region", sheet.region
    if sheet.previous:
        yield "previous", sheet.previous.value
    if sheet.previous_lasted:
        yield "lasted", sheet.previous_lasted
    if sheet.changes_last_hour:
        yield "changes", str(sheet.changes_last_hour)
    if sheet.run:
        yield "runs", "runs"
        yield "limit_w", f"{grouped(sheet.power_limit_w)} W"
    else:
        yield "paused", "paused"


def _signal(name: str, signal: Signal, unit: str) -> Iterator[tuple[str, str]]:
    if signal.value is None:
        return
    yield name, _amount(signal.value, unit)
    if signal.before is not None and signal.moved_within is not None:
        yield f"{name}_before", _amount(signal.before, unit)
        yield f"{name}_within", signal.moved_within
        yield f"{name}_rose", "rose" if signal.value > signal.before else "fell"


def _amount(value: float, unit: str) -> str:
    if unit != "$/MWh":
        return f"{grouped(value)} {unit}"
    return f"-${grouped(-value)}/MWh" if value < 0 else f"${grouped(value)}/MWh"


def _score(sheet: FactSheet) -> Iterator[tuple[str, str]]:
    score, before = sheet.score, sheet.score_before
    if score is None:
        return
    yield "score", f"{score:.2f}"
    if before is not None and before != score:
        yield "score_before", f"{before:.2f}"
        yield "score_rose", "rose" if score > before else "fell"
        yield "score_up", "up" if score > before else "down"
    green, red = sheet.limits.get("green_score"), sheet.limits.get("red_score")
    if green is not None and red is not None:
        if green <= score <= red:
            yield "between_green", f"{green:.2f}"
            yield "between_red", f"{red:.2f}"
    elif green is not None:
        yield "green_score", f"{green:.2f}"
        yield "score_to_green", _relation(score, green)
    elif red is not None:
        yield "red_score", f"{red:.2f}"
        yield "score_to_red", _relation(score, red)


def _limits(sheet: FactSheet) -> Iterator[tuple[str, str]]:
    for name, signal, unit in (("price", sheet.price, "$/MWh"), ("carbon", sheet.carbon, "g/kWh")):
        for which in ("critical", "optimal"):
            limit = sheet.limits.get(f"{which}_{name}_{'usd_per_mwh' if name == 'price' else 'g_per_kwh'}")
            if limit is not None and signal.value is not None:
                yield f"{which}_{name}", _amount(limit, unit)
                yield f"{name}_to_{which}", _relation(signal.value, limit)


def _relation(value: float, limit: float) -> str:
    return "above" if value > limit else "below" if value < limit else "at"


def _doubts(sheet: FactSheet) -> Iterator[tuple[str, str]]:
    if "tick_flagged" in sheet.reasons:
        yield "flagged", "flagged"
    for name, signal in (("price", sheet.price), ("carbon", sheet.carbon)):
        if signal.value is None or f"{name}_missing" in sheet.reasons:
            yield f"{name}_missing", "missing"


def _fleet(fleet: FleetFacts | None) -> Iterator[tuple[str, str]]:
    if fleet is None:
        return
    yield "fleet", f"{grouped(fleet.now_w)} W"
    if fleet.change_w:
        yield "fleet_before", f"{grouped(fleet.before_w)} W"
        yield "fleet_change", f"{grouped(fleet.change_w)} W"
        yield "fleet_rose", "rose" if fleet.now_w > fleet.before_w else "fell"
    for name, jobs in (("jobs_paused", fleet.paused), ("jobs_resumed", fleet.resumed)):
        if jobs:
            yield name, f"{jobs} job{'s' if jobs > 1 else ''}"


def _coming(coming: Next | None) -> Iterator[tuple[str, str]]:
    if coming is None:
        return
    yield "horizon", coming.horizon
    if coming.state is None:
        yield "no_change", "no change"
        return
    yield "coming", coming.state.value
    for name, said in (("p50", coming.p50), ("p10", coming.p10), ("p90", coming.p90)):
        if said is not None:
            yield name, said
    if coming.price_usd_per_mwh is not None:
        yield "price_then", _amount(coming.price_usd_per_mwh, "$/MWh")
    if coming.state in {Pulse.GREEN, Pulse.AMBER}:
        yield "coming_runs", coming.state.value
