"""ReadKinesis in a pipeline: batches and rows, each record once, by as many readers as it is given."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from beam_s3box.errors import ConfigurationError
from beam_s3box.records.batches import LineBatch
from beam_s3box.sources import KinesisRow, ReadKinesis
from beam_s3box.sources.kinesis.stream import StreamSettings
from tests.sources.kinesis.test_reader import records
from tools.kinesis import Kinesis


class Lines(beam.DoFn):
    def process(self, batch: LineBatch) -> Iterator[bytes]:
        assert batch.source.startswith("kinesis://")
        assert batch.has_positions
        yield from batch.lines


class Data(beam.DoFn):
    def process(self, row: KinesisRow) -> Iterator[bytes]:
        yield row.data


@pytest.mark.parametrize(("as_rows", "readers"), [(False, 2), (True, 1)])
def test_each_record_once(server: Kinesis, stream: StreamSettings, as_rows: bool, readers: int) -> None:
    server.put(stream.stream, records(60))
    server.split(stream.stream)
    server.put(stream.stream, records(60, 60))
    read = ReadKinesis(
        stream.stream,
        region=stream.aws.region,
        endpoint_url=stream.aws.endpoint_url,
        readers=readers,
        as_rows=as_rows,
        stop_after=15,
    )
    pipeline = beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    values = pipeline | read | beam.ParDo(Data() if as_rows else Lines())
    assert_that(values, equal_to(records(120)))
    pipeline.run().wait_until_finish()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream": ""}, "stream='' must be the name or the ARN of a stream"),
        ({"start": "yesterday"}, "start='yesterday' must be 'earliest', 'latest', or a time"),
        ({"start": {"shardId-000000000000": "x"}}, "'x' is no position in a shard"),
        ({"fetch_bytes": "1KiB"}, "fetch_bytes=1024 must be a whole number"),
        ({"readers": 0}, "readers=0 must be a whole number"),
        ({"stop_after": 0}, "stop_after=0 must be a number of seconds above 0"),
    ],
)
def test_an_argument_that_can_not_work_says_so(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ReadKinesis(**{"stream": "clicks", **arguments})  # type: ignore[arg-type]
    assert message in str(caught.value)
