"""How often a state has changed of late."""

from carbonshift.common.events import Pulse, Replay
from carbonshift.explain.recent_changes import RUNS, RecentChanges


def test_of_many_runs_those_heard_last_are_remembered(transition):
    changes = RecentChanges()
    runs = [transition(Pulse.RED, replay=Replay(run=f"r{number}")) for number in range(RUNS + 1)]
    later = [
        transition(Pulse.AMBER, now=one.time.replace(minute=30), replay=one.state.replay) for one in (runs[0], runs[-1])
    ]
    assert {changes.count(one) for one in runs} == {1}
    assert [changes.count(one) for one in later] == [1, 2]
