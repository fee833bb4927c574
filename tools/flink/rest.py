"""What Flink's JobManager answers and takes by HTTP: jobs, TaskManagers, checkpoints, drain and cancel."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any, NamedTuple

_SECONDS = 10.0
_POLL_SECONDS = 0.2
ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})
"""States that a job does not leave."""


class Job(NamedTuple):
    """A job of a cluster.

    Attributes:
      id: Flink's own, not Beam's.
      name: the pipeline's `--job_name`.
      state: as RUNNING, RESTARTING or one of `ENDED`.
    """

    id: str
    name: str
    state: str


class FlinkRest:
    """The JobManager at a URL; an answer of 400 and more is raised as `urllib.error.HTTPError`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def task_managers(self, busy: bool = False) -> set[str]:
        """Return the ids of those that are registered; one that was killed is, until the JobManager notices.

        Args:
          busy: only those with a slot in use.
        """
        entries = self._ask("GET", "/taskmanagers")["taskmanagers"]
        return {entry["id"] for entry in entries if not busy or entry["freeSlots"] < entry["slotsNumber"]}

    def jobs(self) -> list[Job]:
        """Return all jobs, the newest first."""
        entries = sorted(self._ask("GET", "/jobs/overview")["jobs"], key=lambda entry: -entry["start-time"])
        return [Job(entry["jid"], entry["name"], entry["state"]) for entry in entries]

    def job_named(self, name: str) -> Job:
        """Return the newest job of a name.

        Raises:
          LookupError: there is none, or not yet.
        """
        for job in self.jobs():
            if job.name == name:
                return job
        raise LookupError(f"Flink has no job {name!r}")

    def state(self, job_id: str) -> str:
        """Return the state of a job."""
        return str(self._ask("GET", f"/jobs/{job_id}")["state"])

    def is_running(self, job_id: str) -> bool:
        """Return whether all tasks of a job run or have run: the job itself is RUNNING before any of them is."""
        answer = self._ask("GET", f"/jobs/{job_id}")
        # without checkpoints an Impulse is at its end at once
        tasks = {vertex["status"] for vertex in answer["vertices"]}
        return answer["state"] == "RUNNING" and tasks <= {"RUNNING", "FINISHED"}

    def completed_checkpoints(self, job_id: str) -> int:
        """Return how many checkpoints a job has completed."""
        return int(self._ask("GET", f"/jobs/{job_id}/checkpoints")["counts"]["completed"])

    def restored_checkpoints(self, job_id: str) -> int:
        """Return how many times a job went on from a checkpoint."""
        return int(self._ask("GET", f"/jobs/{job_id}/checkpoints")["counts"]["restored"])

    def checkpoint_bytes(self, job_id: str) -> int:
        """Return the size of the state in the last checkpoint that a job completed.

        Raises:
          LookupError: it has completed none yet.
        """
        latest = self._ask("GET", f"/jobs/{job_id}/checkpoints")["latest"]["completed"]
        if latest is None:
            raise LookupError(f"job {job_id} has completed no checkpoint")
        return int(latest["state_size"])

    def cancel(self, job_id: str) -> None:
        """End a job as it is; what it buffers is lost."""
        self._ask("PATCH", f"/jobs/{job_id}?mode=cancel")

    def drain(self, job_id: str) -> str:
        """Let a job finish: watermarks go to infinity, timers fire.

        It waits for the end of Beam's Python sources. They spin meanwhile and fill the TaskManager's memory, in less
        than a minute: drain when a source is at its end, or about to be.

        Returns:
          The id of the request, for `drain_failure`.
        """
        return str(self._ask("POST", f"/jobs/{job_id}/stop", {"drain": True})["request-id"])

    def drain_failure(self, job_id: str, request_id: str) -> str | None:
        """Return why a drain failed, or None if it did not, or not yet."""
        # null while it goes on
        operation = self._ask("GET", f"/jobs/{job_id}/savepoints/{request_id}").get("operation") or {}
        cause = operation.get("failure-cause")
        return None if cause is None else str(cause["stack-trace"])

    def wait_for_state(self, job_id: str, *states: str, seconds: float = 120.0) -> str:
        """Return the state of a job as soon as it is one of these.

        Raises:
          RuntimeError: it ended in another one, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while (state := self.state(job_id)) not in states:
            if state in ENDED or time.monotonic() > deadline:
                raise RuntimeError(f"job {job_id} is {state}, not {' or '.join(states)}, {self.failure(job_id)}")
            time.sleep(_POLL_SECONDS)
        return state

    def failure(self, job_id: str) -> str:
        """Return the last exception of a job, in one line."""
        entries = self._ask("GET", f"/jobs/{job_id}/exceptions")["exceptionHistory"]["entries"]
        return " ".join(entries[0]["stacktrace"].split())[:2000] if entries else "without an exception"

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            return json.loads(answer.read())
