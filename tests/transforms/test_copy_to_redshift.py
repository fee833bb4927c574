"""CopyToRedshift: manifests of a write into tables of the stand-in, once, with a row for each failure."""

from __future__ import annotations

import base64
import bz2
import contextlib
import functools
import gzip
import itertools
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.display import DisplayData
from apache_beam.transforms.trigger import AfterCount, DefaultTrigger, Repeatedly
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_s3box import ConfigurationError, CopyToRedshift, LoadResult, Manifest, WriteToS3Box
from beam_s3box.redshift import LoadFailure, RedshiftConnection, Secret
from beam_s3box.redshift.manifests import StoreReader
from beam_s3box.redshift.sql.target import Target
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Credentials
from beam_s3box.stores.retries import Retry
from tests.redshift.load.conftest import Warehouse, clicks, redshift, warehouse
from tests.redshift.load.fakes import table_loads

__all__ = ["redshift", "warehouse"]

PASSWORD = "hunter2-never-shown"
RECORDS = [{"d": f"d{i % 3}", "n": "x", "i": i, "Text": f"t{i}"} for i in range(30)]
AT_ONCE = Retry(3, 0.0, 0.0)


class Collected:
    """The elements of the outputs of each run; a class, because DoFns are pickled."""

    runs: ClassVar[dict[str, list[Any]]] = {}


class Collect(beam.DoFn):
    def __init__(self, name: str) -> None:
        self._name = name
        Collected.runs[name] = []

    def process(self, element: Any) -> None:
        Collected.runs[self._name].append(element)


class Into:
    """Runs manifests through the transform."""

    def __init__(self, warehouse: Warehouse, password: Callable[[], str]) -> None:
        server = warehouse.redshift
        connect = RedshiftConnection(server.host, "dev", server.user, password, port=server.port, ssl=False)
        self.warehouse = warehouse
        self.defaults: dict[str, Any] = {
            "connection": connect, "iam_role": warehouse.role, "s3": warehouse.settings, "retry": AT_ONCE,
        }  # fmt: skip

    def pipeline(self, *more: str) -> beam.Pipeline:
        keys = self.warehouse.keys()
        reaching = [f"--s3_access_key_id={keys.access_key}", f"--s3_secret_access_key={keys.secret_key}"]
        return beam.Pipeline(options=PipelineOptions(["--runner=BundleBasedDirectRunner", *reaching, *more]))

    def copy(self, table: Any, **arguments: Any) -> CopyToRedshift:
        return CopyToRedshift(table, **{**self.defaults, **arguments})

    def run(
        self, manifests: Any, table: Any, *more: str, **arguments: Any
    ) -> tuple[list[LoadResult], list[LoadFailure]]:
        pipeline = self.pipeline(*more)
        result = pipeline | manifests | "Copy" >> self.copy(table, **arguments)
        token = new_token(8)
        result.loads | "Loads" >> beam.ParDo(Collect(f"{token}/loads"))
        result.failures | "Failures" >> beam.ParDo(Collect(f"{token}/failures"))
        pipeline.run().wait_until_finish()
        return Collected.runs.pop(f"{token}/loads"), Collected.runs.pop(f"{token}/failures")


@pytest.fixture
def into(warehouse: Warehouse) -> Into:
    return Into(warehouse, functools.partial(str, warehouse.redshift.password))


def write(warehouse: Warehouse, **arguments: Any) -> WriteToS3Box:
    return WriteToS3Box(
        f"{warehouse.store.root}/{new_token(6)}",
        domain_field="d",
        namespace_field="n",
        s3=warehouse.settings,
        **arguments,
    )


class Written(beam.PTransform):
    """The manifests of a write of some records."""

    def __init__(self, write: WriteToS3Box, records: list[dict[str, Any]]) -> None:
        super().__init__()
        self._write = write
        self._records = records

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (begin | beam.Create(self._records) | self._write).manifests


def test_every_stream_goes_into_a_table_of_its_own_that_is_made(into: Into) -> None:
    manifests = Written(write(into.warehouse), RECORDS)
    loads, failures = into.run(manifests, "{domain}_{namespace}", create_tables=True)
    assert failures == []
    assert sorted((load.table, load.outcome, load.records) for load in loads) == [
        (f"public.d{number}_x", "loaded", 10) for number in range(3)
    ]
    for number in range(3):
        rows = into.warehouse.rows(f"SELECT i, text FROM d{number}_x ORDER BY i")
        assert rows == [(i, f"t{i}") for i in range(number, 30, 3)]


def test_all_manifests_of_a_table_are_one_transaction(into: Into) -> None:
    into.warehouse.redshift.clear()
    loads, _ = into.run(Written(write(into.warehouse), RECORDS), "events", create_tables=True, exclude=["Text"])
    ((table, outcome, records, manifests),) = [(one.table, one.outcome, one.records, len(one.loaded)) for one in loads]
    assert (table, outcome, records, manifests) == ("public.events", "loaded", 30, 3)
    assert into.warehouse.rows("SELECT d, COUNT(*), SUM(i) FROM events GROUP BY d ORDER BY d") == [
        (f"d{number}", 10, sum(range(number, 30, 3))) for number in range(3)
    ]
    sessions = {seen.session for seen in into.warehouse.redshift.seen if seen.verb == "COPY"}
    assert len(sessions) == 1


def test_windows_of_bounded_input_are_one_load_that_replaces(into: Into) -> None:
    into.warehouse.execute("INSERT INTO clicks VALUES (99, 'old')")
    records = [TimestampedValue({"d": "web", "n": "clicks", "id": i, "name": "x"}, i * 60) for i in range(4)]
    manifests = Written(write(into.warehouse, windowing=FixedWindows(60)), records)
    loads, _ = into.run(manifests, "clicks", mode="truncate")
    assert [(load.records, len(load.loaded)) for load in loads] == [(4, 4)]
    assert into.warehouse.ids() == [0, 1, 2, 3]


def test_bounded_input_waits_for_its_end_and_unbounded_does_not(into: Into) -> None:
    manifest = into.warehouse.manifest(clicks(1))
    bounded = into.pipeline() | beam.Create([manifest]) | beam.WindowInto(FixedWindows(60)) | into.copy("clicks")
    unbounded = into.pipeline("--streaming") | Windowed([manifest]) | into.copy("clicks")
    for result, trigger in ((bounded, DefaultTrigger()), (unbounded, Repeatedly(AfterCount(1)))):
        for output in result:
            assert output.windowing.is_default() is (trigger == DefaultTrigger())
            assert output.windowing.triggerfn == trigger


def test_a_table_by_function_and_a_load_that_was_done_before(into: Into) -> None:
    manifests = [into.warehouse.manifest(clicks(1)), into.warehouse.manifest(clicks(2))]
    for outcome in ("loaded", "already-loaded"):
        loads, _ = into.run(beam.Create(manifests), table_of)
        assert [(load.table, load.outcome) for load in loads] == [("public.clicks", outcome)]
        assert into.warehouse.ids() == [1, 2]


def table_of(manifest: Manifest) -> tuple[str, str]:
    return "public", f"{manifest.namespace}"


def test_a_table_that_fails_stops_no_other_and_is_a_row(into: Into) -> None:
    manifests = [
        into.warehouse.manifest(clicks(1)),
        into.warehouse.manifest(clicks(2, name="too long for its column ")),
    ]
    first, second = (manifest.url for manifest in manifests)
    into.warehouse.execute("CREATE TABLE others (id INTEGER, name VARCHAR(20))")
    loads, failures = into.run(beam.Create(manifests), ByUrl({first: "clicks", second: "others"}), on_failure="emit")
    assert [(load.table, load.records) for load in loads] == [("public.clicks", 1)]
    ((table, urls, error, message),) = failures
    assert (table, urls, error) == ("public.others", (second,), "CopyError")
    assert "line 1, column name" in message
    assert into.warehouse.ids("others") == []


def test_a_failure_fails_the_pipeline_when_the_others_are_loaded(into: Into) -> None:
    manifests = [into.warehouse.manifest(clicks(1)), into.warehouse.manifest(clicks(2))]
    names = ByUrl({manifests[0].url: "nowhere", manifests[1].url: "clicks"})
    with pytest.raises(Exception, match=r"table='public.nowhere' does not exist: create it"):
        into.run(beam.Create(manifests), names)
    assert into.warehouse.ids() == [2]


def test_a_name_that_can_be_no_table_is_a_failure_too(into: Into) -> None:
    manifest = into.warehouse.manifest(clicks(1))
    long = manifest._replace(namespace="x" * 130)
    loads, failures = into.run(beam.Create([manifest, long]), "{namespace}", on_failure="emit")
    assert [load.table for load in loads] == ["public.clicks"]
    assert [(failure.table, failure.error) for failure in failures] == [("", "ConfigurationError")]
    of_run = manifest._replace(domain=None, namespace=None)
    with pytest.raises(Exception, match="this manifest lists the shards of several"):
        into.run(beam.Create([of_run]), "{namespace}")


class ByUrl:
    """Names tables by the manifest's URL."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def __call__(self, manifest: Manifest) -> str:
        return self._names[manifest.url]


def stream_of(manifests: list[Manifest]) -> TestStream:
    """An unbounded stream whose manifests come one by one, in windows of their own."""
    stream = TestStream()
    for number, manifest in enumerate(manifests):
        stream.advance_watermark_to(number * 60).add_elements([TimestampedValue(manifest, number * 60)])
    return stream.advance_watermark_to_infinity()


class Windowed(beam.PTransform):
    def __init__(self, manifests: list[Manifest]) -> None:
        super().__init__()
        self._manifests = manifests

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        windowed = begin | stream_of(self._manifests) | beam.WindowInto(FixedWindows(60))
        return windowed | beam.ParDo(Same()).with_output_types(Manifest)


class Same(beam.DoFn):
    def process(self, element: Any) -> Iterator[Any]:
        yield element


def test_unbounded_manifests_are_loaded_as_they_come_each_once(into: Into) -> None:
    manifests = [into.warehouse.manifest(clicks(number)) for number in range(4)]
    for outcome in ("loaded", "already-loaded"):
        loads, failures = into.run(Windowed(manifests), "clicks", "--streaming")
        assert failures == []
        assert [load.outcome for load in loads] == [outcome] * 4
        assert into.warehouse.ids() == [0, 1, 2, 3]


def test_truncate_is_refused_for_unbounded_input(into: Into) -> None:
    with pytest.raises(ConfigurationError, match="mode='truncate' and unbounded input are mutually exclusive"):
        into.run(Windowed([into.warehouse.manifest(clicks(1))]), "clicks", "--streaming", mode="truncate")


def test_one_that_can_not_be_loaded_keeps_no_other_out(into: Into) -> None:
    """If several manifests of an unbounded stream arrive together, they are tried alone when they fail together."""
    loads = into.copy("clicks").loads.reaching(into.warehouse.settings, into.warehouse.keys)
    good, bad, last = (into.warehouse.manifest(clicks(i, name="n" * i)) for i in (1, 30, 2))
    outcomes = list(loads.outcomes([good, bad, last], Target("public", "clicks"), one_by_one=True))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LoadFailure", "LoadResult", "LoadResult"]
    assert into.warehouse.ids() == [1, 2]
    assert [type(one).__name__ for one in loads.outcomes([good, bad], Target("public", "clicks"))] == ["LoadFailure"]


@pytest.mark.parametrize("number", range(1, 13))
def test_a_bundle_that_is_repeated_loads_once(into: Into, number: int) -> None:
    """The connection is cut at each statement in turn, with one attempt only: then Beam repeats the bundle."""
    manifest = into.warehouse.manifest(clicks(1, 2))
    into.warehouse.redshift.clear()
    into.warehouse.redshift.cut_before(number)
    loads, _ = into.run(beam.Create([manifest]), "clicks", retry=Retry(1, 0.0, 0.0))
    assert [load.outcome for load in loads] == ["loaded"]
    assert into.warehouse.ids() == [1, 2]


def test_an_answer_lost_after_commit_is_a_load_that_was_done(into: Into) -> None:
    manifest = into.warehouse.manifest(clicks(1, 2))
    into.run(beam.Create([into.warehouse.manifest(clicks(0))]), "clicks")
    into.warehouse.redshift.clear()
    into.warehouse.redshift.cut_after_commit()
    loads, _ = into.run(beam.Create([manifest]), "clicks", retry=Retry(1, 0.0, 0.0))
    assert into.warehouse.redshift.waiting == []
    assert [load.outcome for load in loads] == ["already-loaded"]
    assert into.warehouse.ids() == [0, 1, 2]


def test_tables_grow_by_the_keys_of_later_records(into: Into) -> None:
    records: list[dict[str, Any]] = [{"id": 1}, {"id": 2, "More": 0.5}, {"more": 1.5, "tags": ["x"]}]
    for number, record in enumerate(records):
        loads, _ = into.run(beam.Create([into.warehouse.manifest([record])]), "grown", create_tables=True)
        assert loads[0].outcome == "loaded", number
    assert into.warehouse.rows("SELECT id, more, tags IS NULL FROM grown ORDER BY id") == [
        (1, None, True), (2, 0.5, True), (None, 1.5, False),
    ]  # fmt: skip


def test_over_the_data_api_a_table_takes_more_manifests_than_one_batch(into: Into) -> None:
    manifests = [into.warehouse.manifest(clicks(number)) for number in range(17)]
    fetch = StoreReader(into.warehouse.settings, into.warehouse.keys)
    loads = table_loads(into.warehouse.data_api(), iam_role=into.warehouse.role, fetch=fetch)
    outcomes = list(loads.outcomes(manifests, Target("public", "clicks")))
    assert [len(outcome.loaded) for outcome in outcomes if isinstance(outcome, LoadResult)] == [14, 3]
    assert into.warehouse.ids() == list(range(17))


def test_nothing_is_a_run_of_nothing(into: Into) -> None:
    assert into.run(beam.Create([]), "clicks") == ([], [])


def shown_by(pipeline: beam.Pipeline) -> bytes:
    """Return all that a pipeline's proto holds: its bytes, and what is packed in them, unpacked again and again."""
    seen = [pipeline.to_runner_api().SerializeToString()]
    for body in seen:
        for text in re.findall(rb"[A-Za-z0-9+/=]{24,}", body):
            with contextlib.suppress(Exception):
                seen.append(base64.b64decode(text, validate=True))
        for begin in itertools.chain(
            *(find_all(body, mark) for mark in (b"\x78\x9c", b"\x78\xda", b"BZh", b"\x1f\x8b"))
        ):
            for unpack in (zlib.decompress, bz2.decompress, gzip.decompress):
                with contextlib.suppress(Exception):
                    seen.append(unpack(body[begin:]))
    return b"\n".join(seen)


def find_all(body: bytes, mark: bytes) -> Iterator[int]:
    return (match.start() for match in re.finditer(re.escape(mark), body))


def test_no_secret_is_in_the_graph(into: Into, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSHIFT_PASSWORD", PASSWORD)
    keys = into.warehouse.keys()
    for connection in (RedshiftConnection("host", "dev", "me"), RedshiftConnection("host", "dev", "me", find_password)):
        pipeline = into.pipeline()
        manifests = pipeline | beam.Create([into.warehouse.manifest(clicks(1))])
        manifests | "Copy" >> into.copy("clicks", connection=connection, iam_role=None, credentials=find_keys)
        shown = shown_by(pipeline)
        for secret in (PASSWORD, "secret-for-copy", keys.secret_key):
            assert secret.encode() not in shown
            assert secret not in str(pipeline.to_runner_api())
    assert b"beam_s3box.redshift.load.table_loads" in shown


def find_password() -> Secret:
    return Secret(PASSWORD)


def find_keys() -> Credentials:
    return Credentials("AKIAIOSFODNN7EXAMPLE", "secret-for-copy")


def test_a_password_of_its_own_is_refused_with_the_way_out(into: Into) -> None:
    holds = RedshiftConnection("host", "dev", "me", PASSWORD)
    with pytest.raises(ConfigurationError, match="can't be pickled with a pipeline") as caught:
        into.copy("clicks", connection=holds)
    assert PASSWORD not in str(caught.value)


def test_what_runners_show_of_the_step(into: Into) -> None:
    data = {item.key: item.value for item in DisplayData.create_from(into.copy("a.{domain}")).items}
    assert data["table"] == "a.{domain}"
    assert "RedshiftConnection(awsuser@127.0.0.1" in data["redshift"]


@pytest.mark.parametrize(
    ("table", "arguments", "message"),
    [
        ("{domain}_{name}", {}, "'{name}': the fields of a template are {domain} and {namespace}"),
        ("a.b.c", {}, "names a database"),
        ("", {}, "table=''"),
        ("t", {"on_failure": "ignore"}, "on_failure='ignore' must be one of error, emit"),
        ("t", {"mode": "upsert"}, "keys= is missing"),
        ("t", {"columns": ["a"], "create_tables": True}, "columns=['a'] and create_tables=True are mutually exclusive"),
        ("t", {"mode": "upsert", "keys": "id", "columns": ["a"]}, "keys= has 'id', which is not loaded"),
        ("t", {"iam_role": None}, "iam_role= is missing"),
        ("t", {"delimiter": ","}, "is for text files"),
        ("t", {"on_replaced": "reload"}, "on_replaced='reload' with mode='append'"),
    ],
)
def test_what_can_not_work_is_refused_when_it_is_made(
    into: Into, table: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        into.copy(table, **arguments)
