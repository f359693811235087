"""The digest of a span, as an event. Pure."""

from carbonshift.common.events import Digest
from carbonshift.explain.digest.english import English
from carbonshift.explain.digest.heard import Heard
from carbonshift.explain.digest.language import Language
from carbonshift.explain.digest.sheet import digest_sheet

__all__ = ["ENGLISH", "digest_of"]

ENGLISH: Language = English()


def digest_of(heard: Heard, language: Language = ENGLISH) -> Digest:
    """Its id follows from region, span and run, so that one told again is stored once."""
    sheet = digest_sheet(heard)
    return Digest(
        region=heard.region,
        start=heard.span.start,
        end=heard.span.end,
        text=language.digest(sheet),
        facts=sheet.facts(),
        replay=heard.replay,
    )
