"""How a source learns that its run shall end, and says that it lives."""

from __future__ import annotations

from typing import Protocol


class Notices(Protocol):
    """What a run and its sources say to each other. It is pickled, and asks the store no more often than is useful."""

    def is_stop_asked(self) -> bool:
        """Return whether the run shall end; also says, now and then, that this process reads for it.

        Raises:
          StoreError: the store failed, after its retries.
        """
        ...
