"""Ranks in lockstep, an agent that is interrupted anywhere between its writes: they stop at one step, every time."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.gpu_worker.agreement import STEPS_AHEAD, Agreement

RUN = 1 << 63


@dataclass
class Rank:
    target: int = RUN
    step: int = 0
    ack: int = 0

    def moves(self, others):
        """Finish a step where all take part in its collectives; stop, or go on, where the target says so."""
        if self.ack:
            self.ack = self.step if self.step >= self.target else 0
        elif all(other.step > self.step or (other.step == self.step and not other.ack) for other in others):
            self.step += 1
            self.ack = self.step if self.step >= self.target else 0


@given(data=st.data(), count=st.integers(2, 5))
def test_all_stop_at_one_step_however_reads_and_writes_fall_between_their_steps(data, count):
    ranks, agreement, now_seconds = [Rank() for _ in range(count)], Agreement(), 0.0
    others = {number: [rank for rank in ranks if rank is not ranks[number]] for number in range(count)}
    turns = data.draw(st.lists(st.lists(st.integers(0, count - 1), max_size=8), max_size=60))

    def some_move():
        for number in turns.pop() if turns else [*range(count)]:  # in the end all get their turn
            ranks[number].moves(others[number])

    for _ in range(100):
        acks = [rank.ack for rank in ranks]
        some_move()
        steps = [rank.step for rank in ranks]  # the agent reads one after another
        if agreement.agreed(acks) and agreement.agreed([rank.ack for rank in ranks]):
            break
        if target := agreement.next_target(steps, acks, now_seconds):
            for rank in data.draw(st.permutations(ranks)):
                assert rank.target == RUN or rank.target < target
                rank.target = target
                some_move()
        now_seconds += 0.005
    else:
        raise AssertionError("they never agreed")
    assert {(rank.step, rank.ack) for rank in ranks} == {(agreement.target, agreement.target)}


def test_with_nobody_in_between_the_first_target_is_the_last():
    agreement = Agreement()
    assert agreement.next_target([7, 8], [0, 0], 0.0) == 8 + STEPS_AHEAD
    assert agreement.next_target([8, 8], [0, 0], 0.0) is None
    assert agreement.next_target([11, 10], [11, 0], 0.1) is None
    assert not agreement.agreed([11, 0])
    assert agreement.agreed([11, 11])


def test_a_rank_seen_close_to_the_target_as_it_was_written_may_have_missed_it():
    agreement = Agreement()
    assert agreement.next_target([5, 5], [0, 0], 0.0) == 8
    assert agreement.next_target([7, 7], [0, 0], 0.0) == 13
    assert agreement.next_target([8, 8], [0, 0], 0.0) is None


def test_a_rank_past_the_target_is_given_time_to_say_that_it_waits_and_then_overtaken():
    agreement = Agreement()
    agreement.next_target([5, 5], [0, 0], 0.0)
    agreement.next_target([5, 5], [0, 0], 0.0)
    assert agreement.next_target([8, 8], [8, 0], 1.0) is None
    assert agreement.next_target([8, 8], [8, 0], 1.01) is None
    assert agreement.next_target([8, 8], [8, 0], 1.02) == 14
