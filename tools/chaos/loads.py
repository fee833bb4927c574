"""Manifests are loaded into a table of a stand-in for Redshift by `s3box load`, which is killed and begun again."""

from __future__ import annotations

import collections
import contextlib
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from redshift_stand_in import ROLE, RedshiftStandIn
from tools.chaos.attempts import RUN_ID, Attempts, Command
from tools.chaos.counting import Counted, count_whole_runs
from tools.chaos.victims import ROOT
from tools.chaos.world import Gate, Round, clean_environment
from tools.seaweedfs import REGION

STATEMENTS = 38
"""That a load sends, about."""

_POLL_SECONDS = 0.002
_PACKS = 3
"""Attempts: a server that was killed in the round before may still be too slow for the check of a destination."""


class StatementGate(Gate):
    """Is reached when a server has executed so many statements more; it holds nothing."""

    def __init__(self, redshift: RedshiftStandIn, index: int) -> None:
        super().__init__(-1, "before")
        self._redshift, self._until = redshift, len(redshift.seen) + index
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self.opened.wait(_POLL_SECONDS):
            if len(self._redshift.seen) > self._until:
                self.reached.set()
                return


class Loads(Attempts):
    """A run is packed in peace, and loaded under faults, in a table of its own each round."""

    def __init__(self, name: str, records: int, pack: Command, kinds: tuple[str, ...]) -> None:
        super().__init__(name, records, self._load, kinds, locks=True)
        self._pack = pack
        self._redshift: RedshiftStandIn | None = None

    def prepare(self, round: Round, source: Path) -> None:
        """Write the manifests, and make the table."""
        if self._redshift is None:
            s3 = round.world.s3.server
            server = RedshiftStandIn(s3.endpoint_url, s3.reader.access_key, s3.reader.secret_key, region=REGION)
            self._redshift = round.world.stack.enter_context(server)
        round.world.proxy.rule = lambda request: None
        command = [sys.executable, "-m", *self._pack(round.url, source)]
        environment = {**clean_environment(), **round.world.environment}
        for _ in range(_PACKS):
            with source.open("rb") as lines, round.log.open("ab") as said:
                packed = subprocess.run(
                    command, cwd=ROOT, env=environment, stdin=lines, stdout=said, stderr=said, check=False
                )
            if packed.returncode == 0:
                break
        else:
            raise RuntimeError(f"nothing could be packed: {round.log.read_text(errors='replace')[-2_000:]}")
        self._redshift.reset()
        with contextlib.closing(self._redshift.connect()) as connection:
            connection.cursor().execute("CREATE TABLE chaos (d VARCHAR(9), n VARCHAR(9), i INTEGER, pad VARCHAR(99))")
            connection.commit()
        self._redshift.clear()

    def count(self, round: Round, source: Path) -> Counted:
        """Count the rows."""
        with contextlib.closing(self._server.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT i FROM chaos")
            ids = collections.Counter[Any](number for (number,) in cursor.fetchall())
        return count_whole_runs({"chaos": ids}, range(self._records))

    def environment(self, round: Round) -> Mapping[str, str]:
        return {**super().environment(round), "REDSHIFT_PASSWORD": self._server.password}

    def gate(self, round: Round, index: int) -> Gate:
        """Return a gate at a request or a statement; or now and then let the connection break at one."""
        self._server.clear()
        if index < 0 or round.random.random() < 0.4:
            return super().gate(round, index)
        gate, statement = super().gate(round, -1), round.random.randrange(STATEMENTS)
        if round.random.random() < 0.7:
            return StatementGate(self._server, statement)
        round.faults["connection cut"] += 1
        round.random.choice([self._server.cut_before, self._server.cut_after])(statement + 1)
        return gate

    @property
    def _server(self) -> RedshiftStandIn:
        if self._redshift is None:
            raise AssertionError("the server is started before anything is loaded")
        return self._redshift

    def _load(self, destination: str, source: Path) -> list[str]:
        server = self._server
        dsn = f"redshift://{server.user}@{server.host}:{server.port}/{server.database}?ssl=false"
        options = ["--redshift_table=chaos", f"--redshift_dsn={dsn}", f"--redshift_iam_role={ROLE}"]
        return ["beam_s3box", "load", destination, f"--run_id={RUN_ID}", *options]
