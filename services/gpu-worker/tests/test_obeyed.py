from hypothesis import given
from hypothesis import strategies as st

from carbonshift.gpu_worker.keeper import LimitChange
from carbonshift.gpu_worker.obeyed import Cap

watts = st.floats(20, 1_200)


def cap(asked_w, set_w, enforced_w):
    return Cap(change=LimitChange(from_w=700.0, to_w=set_w), asked_w=asked_w, enforced_w=enforced_w)


@given(asked_w=watts, set_w=watts, enforced_w=st.none() | watts)
def test_what_is_not_said_is_as_it_was_set(asked_w, set_w, enforced_w):
    told = cap(asked_w, set_w, enforced_w).differences
    assert abs(told.get("asked_w", set_w) - asked_w) <= 0.5
    assert enforced_w is None or min(enforced_w, set_w) >= told.get("enforced_w", set_w) - 1.0
    assert None not in told.values()


def test_a_hair_is_no_difference_and_more_is():
    assert cap(300.4, 300.0, 299.0).differences == {}
    assert cap(300.6, 300.0, 298.9).differences == {"asked_w": 300.6, "enforced_w": 298.9}
    assert cap(300.0, 300.0, 350.0).differences == {}
