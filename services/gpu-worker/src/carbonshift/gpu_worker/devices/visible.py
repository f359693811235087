"""Which boards of a host CUDA would show to this process. Pure.

Source: https://docs.nvidia.com/cuda/cuda-c-programming-guide/ (CUDA_VISIBLE_DEVICES)
"""

from collections.abc import Mapping, Sequence

__all__ = ["visible"]


def visible(uuids: Sequence[str], instances: Mapping[str, str], listed: str | None) -> list[str]:
    """The boards that `listed` names, each once, in its order; an entry that names none ends the list.

    Args:
        uuids: of all boards, in the order of their PCI addresses.
        instances: UUID of each MIG instance, and of the board that it is a part of.
        listed: the value of CUDA_VISIBLE_DEVICES; None = all.
    """
    if listed is None:
        return list(uuids)
    found: dict[str, None] = {}
    for entry in (word.strip() for word in listed.split(",")):
        if entry.isdecimal():
            named = [uuids[int(entry)]] if int(entry) < len(uuids) else []
        elif entry.startswith("MIG-"):
            named = [board for uuid, board in instances.items() if uuid.startswith(entry)]
        else:
            named = [uuid for uuid in uuids if entry.startswith("GPU-") and uuid.startswith(entry)]
        if len(named) != 1:  # nothing, or not one alone
            break
        found[named[0]] = None
    return list(found)
