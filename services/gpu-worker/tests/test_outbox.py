from datetime import UTC, datetime, timedelta

from carbonshift.common.events import Account, EnergyUse, Quality, WorkerEvent, WorkerTelemetry
from carbonshift.gpu_worker.outbox import KEPT, Outbox

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
BOARD = {"worker": "w", "site": "s", "region": "caiso", "device_uuid": "GPU-1"}


def telemetry(number):
    return WorkerTelemetry(
        **BOARD,
        observed_at=NOON + timedelta(seconds=number),
        power_w=None,
        power_limit_w=None,
        enforced_limit_w=None,
        allowance_w=0,
        ceiling_w=0,
        energy_j=number,
        energy_basis="measured",
        account=Account(since=NOON),
        run_state="ended",
    )


def event(number):
    return WorkerEvent(
        **BOARD, sequence=number, started_at=NOON, observed_at=NOON, event="capped", detail={"number": number}
    )


def use():
    return EnergyUse(
        **BOARD,
        interval_start=NOON,
        interval_seconds=300,
        revision=None,
        metered_seconds=300,
        energy_j=1,
        energy_basis="measured",
        error_j=0,
        parked_j=0,
        shares=(),
        price_usd_per_mwh=None,
        price_quality=Quality.MISSING,
        cost_usd=None,
        carbon_g_per_kwh=None,
        carbon_basis=None,
        carbon_quality=Quality.MISSING,
        carbon_g=None,
    )


async def test_while_the_broker_is_away_telemetry_makes_room_for_what_it_cannot_outdate():
    outbox = Outbox(None)  # nobody publishes
    heard = []
    outbox.listen(heard.append)
    await outbox.put(event(0), use())
    for number in range(KEPT):
        await outbox.put(telemetry(number))
    assert outbox.holds(WorkerEvent)
    assert outbox.holds(EnergyUse)
    for number in range(1, KEPT):
        await outbox.put(event(number))
    assert not outbox.holds(WorkerTelemetry)
    assert outbox.holds(EnergyUse)
    await outbox.put(event(KEPT))
    assert len(heard) == 2 * KEPT + 2
