"""The words that a narrative may be made of: closed, so that a cause which nobody knows of cannot be named. Pure.

A word that says something of the facts stands in one of the groups that are checked; the rest says nothing by itself.
"""

from collections.abc import Mapping
from types import MappingProxyType

from carbonshift.common.events import Pulse

__all__ = [
    "ABOVE",
    "BECAUSE",
    "BELOW",
    "DOWN",
    "ENDS",
    "FREE",
    "FUTURE",
    "IMPERATIVE",
    "LIMITS",
    "NEEDS_FLEET",
    "NEEDS_REASON",
    "PAST",
    "RESUMES",
    "RUNS",
    "SIGNALS",
    "STATES",
    "STEADY",
    "STOPS",
    "SUBJECTS",
    "TO_DO",
    "UP",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FREE = _words(
    "a about after again against allow allowed allowing allows almost also an and approximately are around as at "
    "back be became become becomes been before began begin begins behind being between board board's both bringing "
    "brings brought but by came can cap capped capping caps change changed changes changing closing combination "
    "combined come comes coming drawn drew due during each earlier early end ended ending ends entered "
    "enters far follow followed following follows for former from further give given gives giving go goes going "
    "gone gpu gpus grid grid's had hand handed has have having helping hence in inside instead interval into is it "
    "its joint keep keeping keeps kept kwh last lasted lasting lasts late later latter leads leave leaves "
    "leaving left less let lets letting level levels lie lies limited local made make makes making mark may means "
    "meanwhile meet meeting meets met middle more move moved moves moving mwh near nearly next now of on one's or "
    "other out over own part per period permits place point points power previous previously put puts putting range "
    "reach reached reaches reaching reading readings reason reasons reference region region's remaining result "
    "resulting results return returned returning returns roughly safe sees sending sends sent set sheet shifted "
    "shifts show showing shown shows side sign signal signals since sits situation situations so some somewhere "
    "spell stand stands start started starting starts state state's still stretch such switch switched switches "
    "take taken takes taking than that the their them then there thereby therefore these they this those through "
    "thus time times to together too took toward towards turn turned turns until up usd utc value values was watt "
    "wattage watts we weighed weighs weight went were what when where which while who whole whose will with within "
    "would yet"
)
UP = _words(
    "rose rise rises rising risen climbed climb climbs climbing jumped jump jumps jumping spiked spike spikes "
    "spiking increased increase increases increasing surged surge surges surging soared soaring grew grown growing "
    "shot leapt higher"
)
DOWN = _words(
    "fell fall falls falling fallen dropped drop drops dropping declined decline declines declining eased ease "
    "eases easing decreased decrease decreases decreasing slid sliding sank sinking lower lowered down plunged "
    "plunging retreated retreating dipped dipping cooled cooling tumbled tumbling shed sheds shedding"
)
STEADY = _words("stayed stay stays staying steady remained remain remains remaining")
ABOVE = _words("above over exceeded exceeds exceeding exceed beyond past topped topping crossed crossing surpassed")
BELOW = _words("below under beneath")
LIMITS = _words("limit limits limit's threshold thresholds ceiling bound")
PAST = _words("was were had before earlier previously")
FUTURE = _words(
    "expected expect expects expecting forecast forecasts forecasted likely anticipated anticipate projected outlook "
    "should will"
)
BECAUSE = _words("because cause caused causes due driven drove drive drives driving owing triggered trigger triggers")
BECAUSE |= _words("thanks pushed pushes pushing forced forces forcing pulled reason sent")
STOPS = _words(
    "paused pause pauses pausing stopped stop stops stopping halted halt halts halting suspended suspend suspends "
    "waits wait waiting waited idle idles parked rests resting"
)
RUNS = _words(
    "resumed resume resumes resuming runs run running continues continue continued continuing restarted restart "
    "restarts proceeds proceed train"
)
RESUMES = _words("resumed resume resumes resuming restarted restart restarts")
ENDS = _words("end ended ending ends")
STATES: Mapping[str, Pulse] = MappingProxyType({pulse.value.lower(): pulse for pulse in Pulse})
SUBJECTS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("price", "prices", "price's", "lmp", "cost"), "price"),
        **dict.fromkeys(("carbon", "intensity", "emissions", "carbon's"), "carbon"),
        **dict.fromkeys(("score", "scores", "scored", "score's"), "score"),
        **dict.fromkeys(("training", "trainings", "training's"), "training"),
        **dict.fromkeys(("fleet", "fleet's", "draw", "draws", "drawing", "drew", "consumption"), "fleet"),
        **dict.fromkeys(("job", "jobs"), "jobs"),
        **dict.fromkeys(("token", "tokens"), "tokens"),
    }
)
NEEDS_FLEET = _words("fleet fleet's draw draws drawing drew consumption job jobs token tokens shed sheds shedding")
NEEDS_REASON: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(("stale", "outdated"), _words("price_stale carbon_stale")),
        **dict.fromkeys(("flat", "frozen"), _words("signal_flat price_flat carbon_flat")),
        **dict.fromkeys(("zero",), _words("price_zero carbon_zero")),
        **dict.fromkeys(
            ("contradict", "contradicts", "disagree", "disputed", "contradictory"),
            _words("price_disputed carbon_disputed signals_disagree"),
        ),
        **dict.fromkeys(("implausible", "impossible"), _words("price_out_of_range carbon_out_of_range")),
        **dict.fromkeys(("flagged", "doubtful", "untrusted"), _words("tick_flagged")),
        **dict.fromkeys(("warming", "history"), _words("warming_up")),
        **dict.fromkeys(("hysteresis",), _words("hysteresis")),
        **dict.fromkeys(("dwell",), _words("dwell")),
        **dict.fromkeys(("critical", "hard"), _words("price_critical carbon_critical")),
        **dict.fromkeys(("high",), _words("price_critical carbon_critical price_above_optimal carbon_above_optimal")),
    }
)
"""Words that may be said only where one of these reasons is given."""
TO_DO = _words("check look see codes integrity source tick stuck")
SIGNALS = frozenset({"price", "carbon", "score"})
IMPERATIVE = _words(
    "allow begin bring cap change check come continue end give go halt hand hold keep leave let limit look make "
    "move pause proceed put raise read restart resume run see send set show start stop suspend switch take throttle "
    "turn wait"
)
"""Words that at the beginning of a clause would tell the reader what to do."""
