"""How often jobs were paused and resumed, however many workers each has. Pure."""

from collections import Counter

from carbonshift.common.events import WorkerEvent, WorkerEventKind

__all__ = ["Pauses"]

OPPOSITE = {
    WorkerEventKind.PAUSED: WorkerEventKind.RESUMED,
    WorkerEventKind.RESUMED: WorkerEventKind.PAUSED,
}


class Pauses:
    """Of a job the first worker that pauses counts, and those that follow it do not; likewise as it resumes."""

    def __init__(self) -> None:
        self._stand: dict[tuple[WorkerEventKind, str], set[tuple[str, str]]] = {}
        """Boards that have done it and not its opposite since, by job."""
        self._times: Counter[tuple[WorkerEventKind, str]] = Counter()

    def hear(self, event: WorkerEvent) -> None:
        """Take in one event, in the order of its stream; one that tells no job is of a job of its board alone."""
        if event.event not in OPPOSITE:
            return
        board = (event.worker, event.device_uuid)
        named = event.detail.get("job")
        job = named if isinstance(named, str) else "\n".join(board)  # which no name is
        boards = self._stand.setdefault((event.event, job), set())
        if not boards or board in boards:  # it did so again, and nobody told of what was between
            self._times[event.event, job] += 1
            boards.clear()
        boards.add(board)
        self._stand.get((OPPOSITE[event.event], job), set()).discard(board)

    def jobs(self, kind: WorkerEventKind) -> int:
        """Jobs that were paused, or resumed."""
        return sum(1 for done, _ in self._times if done is kind)

    def times(self, kind: WorkerEventKind) -> int:
        """How often they were, in all."""
        return sum(count for (done, _), count in self._times.items() if done is kind)
