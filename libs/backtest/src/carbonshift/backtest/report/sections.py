"""All that the page shows of each tape."""

from collections.abc import Mapping
from typing import Any

from carbonshift.backtest.report import tables
from carbonshift.backtest.report.drawing import drawing
from carbonshift.backtest.report.front import front, marks
from carbonshift.backtest.report.schedules import schedules
from carbonshift.backtest.report.spread import spread
from carbonshift.backtest.report.waterfall import waterfall
from carbonshift.backtest.report.wording import called, leading, result

__all__ = ["sections"]


def sections(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One a tape, in their order: sentence, figures and tables under the names that the template knows."""
    with drawing():
        return [
            {
                "tape": tape,
                "result": result(tape),
                "leading": leading(tape),
                "called": called(leading(tape)),
                "row": tape["pooled"][leading(tape)],
                "policies": tables.policies(tape),
                "by_deadline": tables.by_deadline(tape),
                "causes": tables.causes(tape),
                "price_and_carbon": tables.price_and_carbon(tape),
                "same_clock": tables.same_clock(tape),
                "waterfall": waterfall(tape, f"waterfall-{number}"),
                "spread": spread(tape, f"spread-{number}"),
                "front": front(tape, f"front-{number}"),
                "front_marks": marks(tape),
                "schedules": schedules(tape, f"schedules-{number}"),
            }
            for number, tape in enumerate(document["tapes"])
        ]
