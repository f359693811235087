"""A past as bytes, so that it outlasts decide. Pure."""

import io
import json
import zipfile
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np

from carbonshift.common.events import CarbonBasis, DayAheadPrices, GridState, PriceMarket
from carbonshift.decide.histories import Past
from carbonshift.decide.history import History
from carbonshift.decide.machine import RegionMemory
from carbonshift.decide.planning.outlook import Outlook

__all__ = ["Snapshot"]

FORM = 1
"""Of the bytes; those of another are not read."""
ARRAYS = ("starts", "prices_usd_per_mwh", "carbon_g_per_kwh", "sorted_prices", "sorted_carbon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A past as it was after one tick."""

    past: Past
    sequence: int
    """Of the tick in its stream."""
    stored_at: datetime
    """When the stream stored the tick."""

    def to_bytes(self) -> bytes:
        """Everything, for `from_bytes`."""
        past, memory = self.past, self.past.memory
        head = {
            "form": FORM,
            "region": past.region,
            "mark": past.mark,
            "sequence": self.sequence,
            "stored_at": self.stored_at.isoformat(),
            "state": memory.state.model_dump_json() if memory.state else None,
            "market": memory.history.price_market,
            "basis": memory.history.carbon_basis,
            "early": [published.model_dump_json() for published in past.early],
        }
        buffer, arrays = io.BytesIO(), io.BytesIO()
        np.savez(arrays, allow_pickle=False, **{name: np.asarray(getattr(memory.history, name)) for name in ARRAYS})
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("head", json.dumps(head))
            archive.writestr("history", arrays.getvalue())
            if past.outlook:
                archive.writestr("outlook", past.outlook.to_bytes())
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """What `to_bytes` made.

        Raises: ValueError where it is something else.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                head = json.loads(archive.read("head"))
                if head["form"] != FORM:
                    raise ValueError(f"a snapshot of form {head['form']}")
                with np.load(io.BytesIO(archive.read("history")), allow_pickle=False) as stored:
                    arrays = {name: stored[name] for name in ARRAYS}
                outlook = Outlook.restored(archive.read("outlook")) if "outlook" in archive.namelist() else None
        except (zipfile.BadZipFile, KeyError, TypeError, EOFError) as error:
            raise ValueError(f"not a snapshot: {error}") from error
        history = History(
            price_market=head["market"] and PriceMarket(head["market"]),
            carbon_basis=head["basis"] and CarbonBasis(head["basis"]),
            **arrays,
        )
        state = head["state"] and GridState.model_validate_json(head["state"])
        past = Past(
            region=head["region"],
            mark=head["mark"],
            memory=RegionMemory(history=history, state=state),
            outlook=outlook,
            early=[DayAheadPrices.model_validate_json(published) for published in head["early"]],
        )
        past.put_aside_day = past.day
        return cls(past=past, sequence=head["sequence"], stored_at=datetime.fromisoformat(head["stored_at"]))
