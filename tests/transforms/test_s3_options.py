"""Keys of S3 in the options of a pipeline: each pipeline of a process uses its own."""

from __future__ import annotations

import pickle

import apache_beam as beam
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions, S3Options

from beam_s3box import WriteToS3Box
from beam_s3box.shards.runs import new_token
from beam_s3box.stores import Credentials, S3Settings, S3Store
from beam_s3box.transforms import s3_options
from beam_s3box.transforms.s3_options import CredentialsOfPipeline, credentials_of
from tests.readback import read_back
from tools.seaweedfs import REGION, Identity, Server, seaweedfs


def options_of(server: Server, identity: Identity) -> PipelineOptions:
    return PipelineOptions(
        [
            "--runner=FnApiRunner",
            f"--s3_endpoint_url={server.endpoint_url}",
            f"--s3_region_name={REGION}",
            f"--s3_access_key_id={identity.access_key}",
            f"--s3_secret_access_key={identity.secret_key}",
        ]
    )


def writing(server: Server, identity: Identity, folder: str) -> beam.Pipeline:
    pipeline = beam.Pipeline(options=options_of(server, identity))
    url = f"s3://{server.bucket}/{folder}"
    settings = S3Settings(max_attempts=1)
    pipeline | beam.Create([{"i": 1}]) | WriteToS3Box(url, domain="d", namespace="n", s3=settings)
    return pipeline


def written(server: Server, folder: str) -> list[int]:
    settings = S3Settings(REGION, server.endpoint_url)
    store = S3Store(f"s3://{server.bucket}/{folder}", settings, server.admin)
    return [record["i"] for record in read_back(store).all_records()]


def test_two_pipelines_of_a_process_use_their_own_keys(s3_server: Server) -> None:
    folders = [new_token(12), new_token(12)]
    may_write = writing(s3_server, s3_server.writer, folders[0])
    may_only_read = writing(s3_server, s3_server.reader, folders[1])
    may_write.run().wait_until_finish()
    with pytest.raises(Exception, match="AccessDenied"):
        may_only_read.run()
    assert written(s3_server, folders[0]) == [1]
    assert written(s3_server, folders[1]) == []


def test_two_pipelines_of_a_process_use_their_own_servers(s3_server: Server) -> None:
    folder = new_token(12)
    with seaweedfs() as other:
        pipelines = [writing(server, server.writer, folder) for server in (s3_server, other)]
        for pipeline in pipelines:
            pipeline.run().wait_until_finish()
        assert written(s3_server, folder) == written(other, folder) == [1]


def keys(name: str) -> S3Options:
    given = [f"--s3_access_key_id={name}", f"--s3_secret_access_key={name}-secret", "--s3_session_token=t"]
    return PipelineOptions(given if name else []).view_as(S3Options)


def names(found: Credentials | None) -> tuple[str, str, str | None] | None:
    return None if found is None else (found.access_key, found.secret_key, found.token)


def test_options_without_keys_do_not_borrow_those_of_another_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileSystems, "_pipeline_options", keys("other"))
    assert credentials_of(keys(""))() is None


def test_a_worker_of_its_own_finds_them_in_the_options_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    find = credentials_of(keys("mine"))
    travelled = pickle.dumps(find)
    assert b"mine" not in travelled
    assert "mine" not in repr(find)
    monkeypatch.setattr(FileSystems, "_pipeline_options", keys("other"))
    assert names(pickle.loads(travelled)()) == ("mine", "mine-secret", "t")
    monkeypatch.setattr(s3_options, "_BUILT_HERE", {})
    assert names(pickle.loads(travelled)()) == ("other", "other-secret", "t")
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    assert pickle.loads(travelled)() is None


def test_pipelines_with_equal_keys_share_a_token_and_others_do_not() -> None:
    finders = [credentials_of(keys(name)) for name in ("a", "b", "a", "", "")]
    assert all(isinstance(find, CredentialsOfPipeline) for find in finders)
    assert finders[0] == finders[2]
    assert finders[3] == finders[4]
    assert len(set(finders)) == 3
