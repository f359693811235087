"""A record as bytes and back. Pure."""

import io
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from carbonshift.forecast.record import ROWS_SAID, SUMS_SHAPE, Claim, Record

__all__ = ["from_bytes", "to_bytes"]

UNREADABLE = zipfile.BadZipFile, zlib.error, EOFError, KeyError, OverflowError, RuntimeError, TypeError, ValueError
"""What the libraries raise of bytes that are no whole record; a RuntimeError where they look encrypted."""
Stored = Mapping[str, NDArray[np.generic]]


def to_bytes(record: Record) -> bytes:
    """All of it, for `from_bytes`; what is still to be judged in single precision."""
    arrays: dict[str, NDArray[np.generic]] = {"as_of": np.array(record.as_of)}
    arrays |= {f"sums/{model}": sums for model, sums in record.sums.items()}
    for number, claim in enumerate(record.claims):
        head = (claim.origin, claim.step_seconds, claim.spike_threshold_usd_per_mwh, claim.judged)
        arrays |= {f"{number}/head": np.array(head), f"{number}/leads": claim.leads}
        arrays |= {f"{number}/said/{model}": said.astype(np.float32) for model, said in claim.said.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def from_bytes(content: bytes) -> Record:
    """The record that `to_bytes` was given. Raises: ValueError where `content` is none."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ValueError("what is given is no record")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            stored = {name: np.asarray(archive[name]) for name in archive.files}
        count = sum(name.removesuffix("/head").isdecimal() for name in stored)
        return Record(
            as_of=int(stored["as_of"]),
            sums=_shaped(stored, "sums/", SUMS_SHAPE),
            claims=tuple(_claim(stored, str(number)) for number in range(count)),
        )
    except UNREADABLE as error:
        raise ValueError(f"what is given is no whole record: {error}") from error


def _claim(stored: Stored, number: str) -> Claim:
    origin, step_seconds, threshold, judged = np.asarray(stored[f"{number}/head"], dtype=np.float64)
    leads = np.asarray(stored[f"{number}/leads"], dtype=np.int64)
    return Claim(
        origin=int(origin),
        step_seconds=int(step_seconds),
        leads=leads,
        spike_threshold_usd_per_mwh=float(threshold),
        said=_shaped(stored, f"{number}/said/", (ROWS_SAID, leads.size)),
        judged=int(judged),
    )


def _shaped(stored: Stored, prefix: str, shape: tuple[int, ...]) -> dict[str, NDArray[np.float64]]:
    found = {
        name.removeprefix(prefix): np.asarray(value, dtype=np.float64)
        for name, value in stored.items()
        if name.startswith(prefix)
    }
    for name, value in found.items():
        if value.shape != shape:
            raise ValueError(f"{prefix}{name} has the shape {value.shape}, not {shape}")
    return found
