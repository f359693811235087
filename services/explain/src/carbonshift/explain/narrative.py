"""The narrative of a transition, as an event. Pure."""

from carbonshift.common.events import GridTransition, Narrative
from carbonshift.explain.facts import fact_sheet
from carbonshift.explain.languages import English

__all__ = ["TEMPLATE", "narrative_of"]

TEMPLATE = "template"


def narrative_of(transition: GridTransition) -> Narrative:
    """Told by template; its id follows from the transition's, so that one delivered again is stored once."""
    sheet = fact_sheet(transition)
    return Narrative(
        region=transition.region,
        transition_id=transition.id,
        interval_start=transition.state.interval_start,
        text=English().narrate(sheet),
        model=TEMPLATE,
        facts=sheet.facts(),
        fallback=False,
        replay=transition.state.replay,
    )
