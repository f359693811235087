"""True narratives in several voices: what a model that keeps to the facts might write. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from types import MappingProxyType

from carbonshift.backtest.narratives.spoken_facts import spoken_facts
from carbonshift.explain.facts import FactSheet

__all__ = ["PHRASINGS", "Piece", "phrased", "text_of_pieces"]

Sentence = tuple[str, ...]
"""Ways to say it: the first holds of whose facts all are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a text: words, or a fact by its name."""

    text: str
    fact: str | None = None


PHRASINGS: Mapping[str, tuple[Sentence, ...]] = MappingProxyType(
    {
        "report": (
            ("{state} began in {region} at {since}, after {lasted} of {previous}.", "{state} began at {since}."),
            (
                (
                    "The score {score_rose} from {score_before} to {score}, {score_to_red} the RED threshold of"
                    " {red_score}."
                ),
                (
                    "The score {score_rose} from {score_before} to {score}, {score_to_green} the GREEN limit of"
                    " {green_score}."
                ),
                "The score {score_rose} from {score_before} to {score}, between {between_green} and {between_red}.",
                "The score is {score}, between {between_green} and {between_red}.",
                "The score is {score}.",
                "Price and carbon are untrusted: the tick is {flagged}.",
            ),
            (
                "The price is {price}, {price_to_critical} the {critical_price} limit.",
                "The price of {price} is {price_to_optimal} the {optimal_price} that GREEN allows.",
                "The price {price_rose} from {price_before} to {price} in {price_within}.",
                "The price is {price}.",
                "The price is {price_missing}.",
            ),
            (
                "Carbon is {carbon}, {carbon_to_critical} the {critical_carbon} limit.",
                "Carbon of {carbon} is {carbon_to_optimal} the {optimal_carbon} that GREEN allows.",
                "Carbon is {carbon}.",
                "The carbon intensity is {carbon_missing}.",
            ),
            (
                "Training is {paused} and the fleet's draw {fleet_rose} from {fleet_before} to {fleet}.",
                "Training is {paused}.",
                "Training {runs} at up to {limit_w}, and the fleet's draw {fleet_rose} from {fleet_before} to {fleet}.",
                "Training {runs} at up to {limit_w}.",
            ),
            (
                "{coming} is expected at {p50} (p50), between {p10} (p10) and {p90} (p90).",
                "{coming} is expected at {p50} (p50).",
                "The forecast sees {no_change} within {horizon} (p50).",
            ),
        ),
        "chain": (
            (
                "At {since} the {region} grid went from {previous} to {state}, ending {lasted} of {previous}.",
                "At {since} the {region} grid went from {previous} to {state}.",
                "At {since} the state is {state}.",
            ),
            (
                "The reason is the score of {score}, {score_to_red} the RED threshold of {red_score}.",
                "The reason is the price of {price}, {price_to_critical} the limit of {critical_price}.",
                "The reason is carbon of {carbon}, {carbon_to_critical} the limit of {critical_carbon}.",
                "The reason is the price: {price}, {price_to_optimal} the GREEN limit of {optimal_price}.",
                "The reason is carbon: {carbon}, {carbon_to_optimal} the GREEN limit of {optimal_carbon}.",
                "The reason is the score: {score}, {score_to_green} the GREEN limit of {green_score}.",
                "The reason is the score: {score}, between {between_green} and {between_red}.",
                "The reason is the score, which is {score}.",
                "The price and carbon readings of the tick are {flagged}.",
                "The carbon reading is {carbon_missing}.",
                "The price reading is {price_missing}.",
            ),
            (
                "As a result {jobs_paused} paused and the fleet draws {fleet}, {fleet_change} less than before.",
                "As a result {jobs_resumed} resumed, and the fleet draws {fleet} instead of {fleet_before}.",
                "Training {runs} on at {limit_w}, and the fleet now draws {fleet} instead of {fleet_before}.",
                "Training {runs} at {limit_w} and the fleet draws {fleet}.",
                "Training {runs} at {limit_w}.",
                "Training is {paused}.",
            ),
            (
                "The forecast expects {coming} around {p50} (p50) at {price_then}.",
                "It is likely to stay so: {no_change} is expected within {horizon}.",
            ),
        ),
        "signals first": (
            (
                (
                    "{state} since {since} in {region}, while the price {price_rose} from {price_before} to {price}"
                    " within {price_within}, with carbon at {carbon}."
                ),
                "{state} since {since} in {region}, with the price at {price} and carbon at {carbon}.",
                "{state} since {since} in {region}, while a reading of price or carbon is {carbon_missing}.",
                "{state} since {since} in {region}, while a reading of price or carbon is {price_missing}.",
            ),
            (
                "Together they score {score}, {score_up} from {score_before}, GREEN up to {green_score}.",
                "Together they score {score}, {score_up} from {score_before}, RED from {red_score}.",
                "Together they score {score}, GREEN up to {between_green} and RED from {between_red}.",
                "The tick is {flagged}, so that the signals are untrusted.",
            ),
            ("That ended {lasted} of {previous}.",),
            (
                "Training waits, and {jobs_paused} {paused}.",
                "Training is {paused}.",
                "Training resumed with {jobs_resumed} at {limit_w} and {runs} throttled.",
                "GPU training {runs} at up to {limit_w}.",
            ),
            ("The fleet's consumption {fleet_rose} from {fleet_before} to {fleet}.",),
            (
                "The next change is expected at {p50} (p50), to {coming}, with p10 at {p10}.",
                "The next change is expected at {p50} (p50), to {coming}.",
            ),
        ),
        "short": (
            (
                "{state} took over from {previous} at {since}, after {lasted}.",
                "It turned {state} at {since}.",
            ),
            (
                "The score is {score}, price {price} and carbon {carbon}.",
                "The price is {price} and carbon {carbon}.",
                "Price and carbon are {price_missing}.",
                "The carbon intensity is {carbon_missing}.",
            ),
            (
                "Training is {paused}; the fleet is at {fleet}.",
                "Training {runs} at {limit_w}; the fleet is at {fleet}.",
                "Training {runs} at {limit_w}.",
                "Training is {paused}.",
            ),
            (
                "Expected next is {coming}, at {p50} (p50).",
                "The forecast shows {no_change} within {horizon} (p50).",
            ),
        ),
        "on call": (
            (
                "{region} has been {state} since {since}, when {lasted} in {previous} ended.",
                "{region} has been {state} since {since}.",
            ),
            (
                (
                    "Carbon {carbon_rose} from {carbon_before} to {carbon} over {carbon_within} and the price"
                    " is {price}, which together give a score of {score}."
                ),
                "Carbon stands at {carbon} and the price at {price}, which together give a score of {score}.",
                "Carbon stands at {carbon} and the price at {price}, and the tick is {flagged}.",
                "The price is {price_missing}.",
                "The carbon intensity is {carbon_missing}.",
            ),
            (
                (
                    "The price is {price_to_optimal} the GREEN limit of {optimal_price},"
                    " carbon {carbon_to_optimal} that of {optimal_carbon}."
                ),
                "The price is {price_to_optimal} the GREEN limit of {optimal_price}.",
                "Carbon is {carbon_to_optimal} the GREEN limit of {optimal_carbon}.",
                "By the score RED begins at {red_score}.",
            ),
            (
                "{jobs_paused} stopped, and the fleet shed {fleet_change} to {fleet}.",
                "{jobs_resumed} restarted, and the fleet's draw {fleet_rose} by {fleet_change} to {fleet}.",
                "The fleet's draw {fleet_rose} by {fleet_change} to {fleet}.",
                "The fleet keeps drawing {fleet}.",
            ),
            (
                "Training {runs} with a limit of {limit_w}.",
                "Training is {paused} meanwhile.",
            ),
            (
                "By the forecast the state becomes {coming} at {p50} (p50), with p90 at {p90}.",
                "By the forecast the state becomes {coming} at {p50} (p50).",
                "The forecast is {no_change} within {horizon}.",
            ),
        ),
        "consequence first": (
            (
                "Training {paused} at {since}: {state} followed {lasted} of {previous}.",
                "Training continues at {limit_w}, as {state} followed {previous} at {since}.",
                "{state} at {since}.",
            ),
            (
                "The cause is the price, which is {price_to_critical} its limit of {critical_price}.",
                "The cause is carbon, which is {carbon_to_critical} its limit of {critical_carbon}.",
                "The cause is the price, which is {price_to_optimal} the {optimal_price} that GREEN allows.",
                "The cause is carbon, which is {carbon_to_optimal} the {optimal_carbon} that GREEN allows.",
                "The cause is the score, which {score_rose} to {score} from {score_before}.",
                "The cause is the score, now {score}.",
                "The price is {price_missing}.",
                "The carbon intensity is {carbon_missing}.",
                "Both price and carbon are {flagged}.",
            ),
            (
                (
                    "The price {price_rose} to {price}, from {price_before}, within {price_within}, and carbon"
                    " {carbon_rose} to {carbon}, from {carbon_before}, within {carbon_within}."
                ),
                "The price {price_rose} to {price} within {price_within}; carbon is at {carbon}.",
                "The price is {price} and carbon is {carbon}.",
            ),
            (
                "The fleet drew {fleet_before} before; now it draws {fleet}.",
                "The fleet draws {fleet}.",
            ),
            ("The state changed {changes} times within the last hour.",),
            (
                (
                    "What is expected: {coming} at {p50} (p50), with p10 at {p10}, p90 at {p90} and the price at"
                    " {price_then} then."
                ),
                "What is expected: {coming} at {p50} (p50), with the price at {price_then} then.",
            ),
        ),
        "compared": (
            (
                "At {since} {state} took the place of {previous}, which had lasted {lasted}.",
                "At {since} {state} took the place of {previous}.",
                "{state} at {since}.",
            ),
            (
                "The price went from {price_before} to {price} over {price_within}, and carbon stands at {carbon}.",
                "With price {price} and carbon {carbon}, the score is {score}.",
                "The price stands at {price}, and carbon at {carbon}.",
                "The price is {price_missing}.",
                "The carbon intensity is {carbon_missing}.",
            ),
            (
                "That brings the score of price and carbon to {score}, GREEN up to {green_score}.",
                "That brings the score of price and carbon to {score}, RED from {red_score}.",
                "That brings the score of price and carbon to {score}.",
            ),
            (
                "{jobs_paused} are {paused}.",
                "{jobs_resumed} resumed and run at {limit_w}.",
                "Training {runs} at {limit_w}.",
                "Training is {paused}.",
            ),
            ("The fleet's draw went from {fleet_before} to {fleet}.", "The fleet stays at {fleet}."),
            (
                "{coming} is likely around {p50} (p50).",
                "The forecast has {no_change} within {horizon}.",
            ),
        ),
    }
)


def phrased(voice: str, sheet: FactSheet) -> tuple[Piece, ...]:
    """The narrative of `sheet` in that voice."""
    facts = spoken_facts(sheet)
    said = [sentence for ways in PHRASINGS[voice] if (sentence := _first_known(ways, facts))]
    return tuple(piece for at, sentence in enumerate(said) for piece in (*[Piece(text=" ")][:at], *sentence))


def text_of_pieces(pieces: Iterable[Piece]) -> str:
    """All of it."""
    return "".join(piece.text for piece in pieces)


def _first_known(ways: Sentence, facts: Mapping[str, str]) -> tuple[Piece, ...] | None:
    for way in ways:
        parts = [(words, name) for words, name, _, _ in Formatter().parse(way)]
        if all(name in facts for _, name in parts if name):
            return tuple(piece for words, name in parts for piece in _pieces(words, name, facts))
    return None


def _pieces(words: str, name: str | None, facts: Mapping[str, str]) -> Iterator[Piece]:
    if words:
        yield Piece(text=words)
    if name:
        yield Piece(text=facts[name], fact=name)
