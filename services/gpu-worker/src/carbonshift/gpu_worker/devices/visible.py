"""Which boards of a host CUDA would show to this process. Pure.

Source: https://docs.nvidia.com/cuda/cuda-c-programming-guide/ (CUDA_VISIBLE_DEVICES); what it leaves out as PyTorch
reads it (torch.cuda, _parse_visible_devices): a number ends where its digits do, and a board named twice hides all.
"""

import re
from collections.abc import Mapping, Sequence

__all__ = ["visible"]


def visible(uuids: Sequence[str], instances: Mapping[str, str], listed: str | None) -> list[str]:
    """The boards that `listed` names, in its order; an entry that names none ends the list.

    Args:
        uuids: of all boards, in the order of their PCI addresses.
        instances: UUID of each MIG instance, and of the board that it is a part of.
        listed: the value of CUDA_VISIBLE_DEVICES; None = all.
    """
    if listed is None:
        return list(uuids)
    found: dict[str, str] = {}  # boards and instances, and the board of each
    for entry in (word.strip() for word in listed.split(",")):
        if number := re.match(r"\+?(\d+)", entry):
            named = {uuid: uuid for uuid in uuids[int(number[1]) :][:1]}
        elif entry.startswith("MIG-"):
            named = {uuid: board for uuid, board in instances.items() if uuid.startswith(entry)}
        else:
            named = {uuid: uuid for uuid in uuids if entry.startswith("GPU-") and uuid.startswith(entry)}
        if len(named) != 1:  # nothing, or not one alone
            break
        if found.keys() & named.keys():
            return []
        found |= named
    return list(dict.fromkeys(found.values()))
