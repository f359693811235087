"""No label of a metric has more values than were thought of."""

import pytest

from carbonshift.common.bounded_label import BoundedLabel
from carbonshift.common.message_metrics import SubjectPatterns


def test_the_first_have_labels_of_their_own_and_the_rest_share_one():
    label = BoundedLabel(most=2)
    assert [label.of(name) for name in ("fr", "de", "fr", "es", "it", "de")] == [
        "fr",
        "de",
        "fr",
        "other",
        "other",
        "de",
    ]


@pytest.mark.parametrize(
    ("subject", "pattern"),
    [
        ("a.b.tick.caiso", "a.b.tick.*"),
        ("a.b.worker.host-7.telemetry", "a.b.worker.*.telemetry"),
        ("a.b.job.resnet", "a.b.job.*"),
        ("a.b.tick.caiso.more", "other"),
        ("axb.tick.caiso", "other"),
        ("_INBOX.x7f.1", "other"),
    ],
)
def test_a_subject_is_told_as_the_pattern_of_its_events(subject, pattern):
    assert SubjectPatterns("a.b").of(subject) == pattern
