from __future__ import annotations

import dataclasses
import pathlib

import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from beam_s3box.engine.claims import RunClaim
from beam_s3box.errors import AccessError, ConfigurationError, RunExistsError
from beam_s3box.jobs.backfill import PARSER
from beam_s3box.jobs.options.write import Write, write_of
from beam_s3box.jobs.read.find import FoundInput
from beam_s3box.jobs.read.input_files import NO_OPTIONS
from beam_s3box.jobs.run import preflight
from beam_s3box.jobs.run.preflight import check_destination, check_given, check_input, check_watched, tell_matches
from beam_s3box.shards.keys import Layout
from beam_s3box.shards.model import NOTHING
from beam_s3box.stores.s3_check import CHECK_RETRY
from tests.s3_proxy import Fault, s3_proxy
from tools.seaweedfs import REGION, Identity, Server


def write_to(url: str, *arguments: str) -> Write:
    return write_of(PARSER.parse([f"--destination={url}", "--domain=d", "--namespace=n", *arguments]))


def s3_options(server: Server, identity: Identity) -> PipelineOptions:
    options = PARSER.parse(
        [
            f"--s3_endpoint_url={server.endpoint_url}",
            f"--s3_region_name={REGION}",
            f"--s3_access_key_id={identity.access_key}",
            f"--s3_secret_access_key={identity.secret_key}",
        ]
    )
    FileSystems.set_options(options)
    return options


def test_a_run_id_that_finished_is_refused_and_one_that_did_not_may_be_begun_again() -> None:
    write = write_to("memory://preflight", "--run_id=taken")
    check_destination(write, bounded=True)
    earlier = RunClaim(Layout("taken"), "an earlier attempt")
    earlier.take(write.store)
    check_destination(write, bounded=True)
    with pytest.raises(RunExistsError, match="only a bounded run can be started again"):
        check_destination(write, bounded=False)
    earlier.finish(write.store, [], NOTHING, 0)
    with pytest.raises(RunExistsError, match="run_id='taken' already finished a run"):
        check_destination(write, bounded=True)


def test_a_new_run_id_is_not_looked_up() -> None:
    write = write_to("memory://preflight-new")
    RunClaim(Layout(write.run_id), "an earlier attempt").take(write.store)
    check_destination(write, bounded=False)


def test_a_folder_that_can_not_be_one_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="file") as caught:
        check_destination(write_to(f"{tmp_path}/file/below"), bounded=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("patterns", [None, []])
def test_no_input_is_refused(patterns: list[str] | None) -> None:
    with pytest.raises(ConfigurationError, match="--input is missing"):
        check_given(patterns)


@pytest.mark.parametrize("name", ["none.jsonl", "none*.jsonl", "folder"])
def test_input_that_is_no_file_is_refused(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match=name.replace("*", r"\*")):
        check_input([f"{tmp_path}/{name}"], PARSER.parse([]))


def test_files_that_match_pass(tmp_path: pathlib.Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("{}\n")
    check_input([f"{tmp_path}/*.jsonl", f"{tmp_path}/a.jsonl"], PARSER.parse([]))


def test_input_on_s3_is_looked_for(s3_server: Server) -> None:
    s3_server.client().put_object(Bucket=s3_server.bucket, Key="preflight/a.jsonl", Body=b"{}\n")
    options = s3_options(s3_server, s3_server.reader)
    check_input([f"s3://{s3_server.bucket}/preflight/*.jsonl"], options)
    with pytest.raises(ConfigurationError, match="matches no file"):
        check_input([f"s3://{s3_server.bucket}/preflight/*.csv"], options)
    with pytest.raises(ConfigurationError, match="no such bucket"):
        check_input(["s3://no-such-bucket/a.jsonl"], options)


def test_input_on_s3_with_a_wrong_key_is_refused_at_once(s3_server: Server) -> None:
    options = s3_options(s3_server, Identity(s3_server.reader.access_key, "wrong-secret-key"))
    with pytest.raises(ConfigurationError, match="SignatureDoesNotMatch") as caught:
        check_input([f"s3://{s3_server.bucket}/*.jsonl"], options)
    assert isinstance(caught.value.__cause__, AccessError)


@pytest.mark.parametrize("operation", ["ListObjects", "GetObject"])
@pytest.mark.parametrize("fault", [Fault(503, "SlowDown"), Fault(500, "InternalError"), Fault(0, "", after=True)])
def test_input_on_s3_is_looked_for_three_times(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch, operation: str, fault: Fault
) -> None:
    # a busy machine may need more time
    monkeypatch.setattr(preflight, "CHECK_RETRY", dataclasses.replace(CHECK_RETRY, seconds=60.0))
    s3_server.client().put_object(Bucket=s3_server.bucket, Key="preflight/busy.jsonl", Body=b"{}\n")
    options = s3_options(s3_server, s3_server.reader)
    with s3_proxy(s3_server.endpoint_url) as proxy:
        behind = dataclasses.replace(s3_server, endpoint_url=proxy.endpoint_url)
        proxy.rule = lambda request: fault if (request.operation, request.number < 2) == (operation, True) else None
        FileSystems.set_options(options)
        check_input([f"s3://{s3_server.bucket}/preflight/busy.jsonl"], s3_options(behind, s3_server.reader))


@pytest.mark.parametrize("key", ["folder/", "folder//a.jsonl", "folder/a\tb.jsonl"])
def test_keys_that_others_wrote_are_read_as_they_are(
    s3_server: Server, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """This server has no such keys; S3 has."""
    found = [FoundInput(f"s3://{s3_server.bucket}/{key}", 2, "", 0)]
    monkeypatch.setattr("beam_s3box.jobs.run.preflight.find_input", lambda *_, **__: found)
    check_input([f"s3://{s3_server.bucket}/folder/*"], s3_options(s3_server, s3_server.reader))


def test_a_stream_is_told_how_many_files_match_and_that_a_folder_is_none(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tell_matches([f"{tmp_path}/*"], NO_OPTIONS)
    for name in ("a.jsonl", "b.jsonl", "_SUCCESS"):
        (tmp_path / name).write_text("{}\n")
    tell_matches([f"{tmp_path}/*", f"{tmp_path}/a*"], NO_OPTIONS)
    assert caplog.messages == [
        "files that match --input now: none; waiting for the first",
        "files that match --input now: 2",
    ]
    with pytest.raises(ConfigurationError, match="is a folder: did you mean"):
        check_watched([str(tmp_path)], PARSER.parse([]))
