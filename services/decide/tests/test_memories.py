"""Histories: today's grid and each replay have a past of their own, and old replays do not pile up."""

from carbonshift.common.events import Replay
from carbonshift.decide.machine import RegionMemory
from carbonshift.decide.memories import Memories


def test_a_replay_does_not_touch_the_past_of_today(tick):
    memories, today, replayed = Memories(), RegionMemory(), RegionMemory()
    memories.keep(tick(0), today)
    memories.keep(tick(0, replay=Replay(run="r")), replayed)
    assert memories.of(tick(1)) is today
    assert memories.of(tick(1, replay=Replay(run="r", speed=60.0))) is replayed
    assert memories.of(tick(1, region="other")) is not today


def test_old_replays_go_and_today_stays(tick):
    memories = Memories()
    memories.keep(tick(0), RegionMemory())
    for run in "abcdefgh":
        memories.keep(tick(0, replay=Replay(run=run)), RegionMemory())
    assert list(memories) == [("caiso", ""), *(("caiso", f":{run}") for run in "efgh")]
