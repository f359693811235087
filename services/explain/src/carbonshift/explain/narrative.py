"""The narrative of a transition, as an event. Pure."""

from carbonshift.common.events import GridTransition, Narrative
from carbonshift.explain.facts import FactSheet

__all__ = ["TEMPLATE", "narrative_of"]

TEMPLATE = "template"


def narrative_of(
    transition: GridTransition, sheet: FactSheet, text: str, *, model: str = TEMPLATE, fallback: bool = False
) -> Narrative:
    """With `text`; its id follows from the transition's, so that one delivered again is stored once."""
    return Narrative(
        region=transition.region,
        transition_id=transition.id,
        interval_start=transition.state.interval_start,
        text=text,
        model=model,
        facts=sheet.facts(),
        fallback=fallback,
        replay=transition.state.replay,
    )
