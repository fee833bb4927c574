"""Check what a run left on S3 against its source, without any code of beam_s3box: boto3, gzip and JSON only.

Reads every manifest below a destination and every shard they list, and compares the records with those of the source
files, one for one. Credentials come from where boto3 looks for them, such as AWS_ACCESS_KEY_ID.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import gzip
import hashlib
import json
import sys
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_SINGLE_GZIP_MEMBER = 31
_COUNTS = ("content_length", "record_count")
_MAX_SHOWN = 20


class VerificationError(Exception):
    """What is on S3 is not what the source says; the message has a line for each problem."""


@dataclasses.dataclass
class Findings:
    """What was read, and what is wrong with it.

    Attributes:
      problems: one sentence each.
      manifests, shards: how many.
      streams: how many, if it was said which fields name them.
      listed: records by the manifests' own count.
      read: records in the shards.
      raw_bytes, object_bytes: of the shards, before and after compression.
      unlisted: objects below data/ that no manifest lists.
      source: records of the source files.
    """

    problems: list[str] = dataclasses.field(default_factory=list)
    manifests: int = 0
    shards: int = 0
    streams: int = 0
    listed: int = 0
    read: int = 0
    raw_bytes: int = 0
    object_bytes: int = 0
    unlisted: int = 0
    source: int = 0

    def __str__(self) -> str:
        of_streams = f" of {self.streams:,} streams" if self.streams else ""
        return (
            f"{self.source:,} source records = {self.listed:,} listed in {self.manifests:,} manifests "
            f"= {self.read:,} read back from {self.shards:,} shards{of_streams} "
            f"({self.raw_bytes:,} bytes in {self.object_bytes:,}), the same records one for one; "
            f"{self.unlisted:,} unlisted objects"
        )


def verify(
    client: S3Client, destination: str, sources: Iterable[Path], run_id: str = "", stream_fields: Sequence[str] = ()
) -> Findings:
    """Compare what the manifests of a destination list with the source files.

    Args:
      client: reads the bucket.
      destination: `s3://bucket/prefix`, as the run was given.
      sources: files of JSON lines, gzipped if their names end in `.gz`.
      run_id: only this run's manifests; empty for all of the destination.
      stream_fields: names of the record's fields for domain and namespace; every shard must hold one such pair.

    Raises:
      VerificationError: they differ.
    """
    findings = Findings()
    bucket, prefix = _split_url(destination)
    folder = f"{prefix}manifests/{run_id}/" if run_id else f"{prefix}manifests/"
    entries = list(_read_manifests(client, bucket, folder, findings))
    found = _read_shards(client, entries, stream_fields, findings)
    listed = {entry["url"] for entry in entries}
    stored = (f"s3://{bucket}/{key}" for key in _list_keys(client, bucket, f"{prefix}data/"))
    findings.unlisted = sum(url not in listed for url in stored)
    _compare(found, sources, findings)
    if findings.problems:
        raise VerificationError(_sentence(findings.problems))
    return findings


def _read_manifests(client: S3Client, bucket: str, prefix: str, findings: Findings) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for key in _list_keys(client, bucket, prefix):
        findings.manifests += 1
        entries = _entries(_read(client, bucket, key))
        if not entries:
            findings.problems.append(f"{key}: not JSON with a list of entries, or with an empty one")
        for entry in entries:
            problem = _wrong_form(entry) or (f"{entry['url']} is listed twice" if entry["url"] in seen else "")
            if problem:
                findings.problems.append(f"{key}: {problem}")
                continue
            seen.add(entry["url"])
            findings.listed += entry["meta"]["record_count"]
            yield entry
    if not findings.manifests:
        findings.problems.append(f"s3://{bucket}/{prefix}: no manifests")


def _entries(body: bytes) -> list[Any]:
    try:
        manifest = json.loads(body.decode("utf-8"))
    except ValueError:
        return []
    entries = manifest.get("entries") if isinstance(manifest, dict) else None
    return entries if isinstance(entries, list) else []


def _wrong_form(entry: Any) -> str:
    """Return what Redshift, or a reader of the counts, would miss in an entry; empty for nothing."""
    if not isinstance(entry, dict) or not str(entry.get("url", "")).startswith("s3://"):
        return f"{entry!r} has no s3:// url"
    if entry.get("mandatory") is not True:
        return f"{entry['url']} is not mandatory"
    meta = entry.get("meta")
    if not isinstance(meta, dict) or any(type(meta.get(name)) is not int for name in _COUNTS):
        return f"{entry['url']} has no {' and '.join(_COUNTS)}"
    return ""


def _read_shards(
    client: S3Client, entries: Iterable[dict[str, Any]], stream_fields: Sequence[str], findings: Findings
) -> collections.Counter[bytes]:
    records: collections.Counter[bytes] = collections.Counter()
    streams: set[tuple[Any, ...]] = set()
    for entry in entries:
        try:
            shard = _read_shard(client, entry, findings)
        except (client.exceptions.NoSuchKey, zlib.error, ValueError) as exc:
            findings.problems.append(f"{entry['url']}: {exc}")
            continue
        own = {tuple(record.get(field) for field in stream_fields) for record in shard}
        if len(own) != 1:
            findings.problems.append(f"{entry['url']}: records of {len(own)} streams in one shard")
        streams |= own
        records.update(map(_digest, shard))
    findings.streams = len(streams) if stream_fields else 0
    return records


def _read_shard(client: S3Client, entry: dict[str, Any], findings: Findings) -> list[dict[str, Any]]:
    """Return the records of a shard, and note where its size or their number are not what its entry says."""
    bucket, _, key = entry["url"].removeprefix("s3://").partition("/")
    body = _read(client, bucket, key)
    text = _unpack(body)
    shard = [json.loads(line) for line in text.split(b"\n") if line]
    if not all(isinstance(record, dict) for record in shard):
        raise ValueError("not every line is a JSON object")
    findings.shards += 1
    findings.read += len(shard)
    findings.raw_bytes += len(text)
    findings.object_bytes += len(body)
    for name, number in zip(_COUNTS, (len(body), len(shard)), strict=True):
        if entry["meta"][name] != number:
            findings.problems.append(f"{entry['url']}: {name} {entry['meta'][name]}, but it is {number}")
    return shard


def _unpack(body: bytes) -> bytes:
    """Return the text of a gzip file that has exactly one member and nothing behind it.

    Raises:
      ValueError: it has not, or it is cut short.
      zlib.error: it is not gzip, or its checksum is wrong.
    """
    unpacker = zlib.decompressobj(_SINGLE_GZIP_MEMBER)
    text = unpacker.decompress(body)
    if not unpacker.eof:
        raise ValueError("the gzip file is cut short")
    if unpacker.unused_data:
        raise ValueError(f"{len(unpacker.unused_data)} bytes behind the first gzip member")
    return text


def _compare(found: collections.Counter[bytes], sources: Iterable[Path], findings: Findings) -> None:
    expected: collections.Counter[bytes] = collections.Counter()
    for path in sources:
        expected.update(_digest(json.loads(line)) for line in _lines(path))
    findings.source = expected.total()
    missing, surplus = (expected - found).total(), (found - expected).total()
    if missing or surplus:
        findings.problems.append(f"{missing} source records are in no listed shard, {surplus} records have no source")
    if not findings.source == findings.listed == findings.read:
        findings.problems.append(
            f"{findings.source} source records, {findings.listed} listed, {findings.read} read back: not the same"
        )


def _lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        yield from (line for line in file if line.strip())


def _digest(record: Any) -> bytes:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()


def _list_keys(client: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (entry["Key"] for entry in page.get("Contents", []))


def _read(client: S3Client, bucket: str, key: str) -> bytes:
    with client.get_object(Bucket=bucket, Key=key)["Body"] as body:
        return body.read()


def _split_url(destination: str) -> tuple[str, str]:
    url = urllib.parse.urlsplit(destination)
    if url.scheme != "s3" or not url.netloc:
        raise ValueError(f"destination={destination!r} must be s3://bucket or s3://bucket/prefix")
    prefix = url.path.strip("/")
    return url.netloc, f"{prefix}/" if prefix else ""


def _sentence(problems: Sequence[str]) -> str:
    more = len(problems) - _MAX_SHOWN
    return "\n".join([*problems[:_MAX_SHOWN], *([f"and {more} more problems"] if more > 0 else [])])


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 if everything is found, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m tools.verify", description="Check a run on S3 against its source.")
    parser.add_argument("destination", help="s3://bucket/prefix, as the run was given")
    parser.add_argument("sources", nargs="+", type=Path, help="files of JSON lines; .gz is unpacked")
    parser.add_argument("--run_id", default="", help="only the manifests of this run (default: all)")
    parser.add_argument(
        "--stream_fields", nargs=2, default=(), metavar=("DOMAIN", "NAMESPACE"), help="fields of a record"
    )
    parser.add_argument("--endpoint_url", help="of the S3 server (default: Amazon's)")
    parser.add_argument("--region_name", help="default: as boto3 finds it")
    options = parser.parse_args(arguments)
    client = boto3.client("s3", endpoint_url=options.endpoint_url, region_name=options.region_name)
    try:
        findings = verify(client, options.destination, options.sources, options.run_id, options.stream_fields)
    except VerificationError as exc:
        print(exc, file=sys.stderr)
        return 1
    print(findings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
