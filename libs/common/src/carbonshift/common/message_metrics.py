"""What Prometheus is told of a service's messages: how many, how long, what failed, by the pattern of their subject.

FastStream labels its series with the concrete subject, and every job and every worker has one of its own. Here a label
is one of the patterns of our events, `carbonshift.job.*`, or `other`.
"""

import re
from typing import Any

from faststream.message import StreamMessage
from faststream.prometheus import ConsumeAttrs, MetricsSettingsProvider, PrometheusMiddleware
from faststream.response import PublishCommand
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry, Counter

from carbonshift.common.bounded_label import OTHER
from carbonshift.common.events import EVENTS
from carbonshift.common.settings import Settings

__all__ = ["MessageMetrics", "SubjectPatterns"]


class SubjectPatterns:
    """Which kind of event a subject carries."""

    def __init__(self, prefix: str) -> None:
        self._patterns = [kind.subjects(prefix) for kind in EVENTS]
        each = (re.escape(pattern).replace(r"\*", "[^.]+") for pattern in self._patterns)
        self._any = re.compile("|".join(f"({one})" for one in each))

    def of(self, subject: str) -> str:
        """The pattern, with `*` for a token; `other` for what is no event of ours."""
        found = self._any.fullmatch(subject)
        return self._patterns[found.lastindex - 1] if found and found.lastindex else OTHER


class _ByPattern(MetricsSettingsProvider[Any, PublishCommand]):
    messaging_system = "nats"

    def __init__(self, patterns: SubjectPatterns) -> None:
        self._patterns = patterns

    def get_consume_attrs_from_message(self, msg: StreamMessage[Msg]) -> ConsumeAttrs:
        return {
            "destination_name": self._patterns.of(msg.raw_message.subject),
            "message_size": len(msg.body),
            "messages_count": 1,
        }

    def get_publish_destination_name_from_cmd(self, cmd: PublishCommand) -> str:
        return self._patterns.of(cmd.destination)


class MessageMetrics:
    """Counts into `registry`: FastStream's own metrics by its `middleware`, and what was buried."""

    def __init__(self, registry: CollectorRegistry, settings: Settings) -> None:
        self._patterns = SubjectPatterns(settings.subject_prefix)
        provider = _ByPattern(self._patterns)
        self.middleware: PrometheusMiddleware[Any, Any] = PrometheusMiddleware(
            settings_provider_factory=lambda _: provider, registry=registry, app_name=settings.service
        )
        self._buried = Counter(
            "carbonshift_dead_letters_total",
            "Messages that this service gave up on, by the pattern of their subject.",
            ("subject",),
            registry=registry,
        )

    def buried(self, subject: str) -> None:
        """A message has become a dead letter."""
        self._buried.labels(self._patterns.of(subject)).inc()
