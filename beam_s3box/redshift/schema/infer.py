"""Columns for records: each key a column, of the smallest type that holds whatever was seen."""

from __future__ import annotations

import decimal
import functools
import itertools
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from beam_s3box.checks import check_whole
from beam_s3box.engine.manifests import Manifest
from beam_s3box.errors import ConfigurationError, NotAnObjectError, RecordError
from beam_s3box.records.encoding import as_mapping, diagnose, encode_record
from beam_s3box.redshift.manifests import FetchBytes, StoreReader, read_manifest
from beam_s3box.redshift.schema.key_profile import KeyProfile
from beam_s3box.redshift.schema.shard_lines import shard_lines
from beam_s3box.redshift.sql.columns import MAX_COLUMNS, Column, as_columns
from beam_s3box.redshift.sql.quoting import MAX_NAME_BYTES, folded
from beam_s3box.shards.model import ShardFile
from beam_s3box.system.threads import Threads

THREADS: Final = 4
"""Shards read at a time: each is in memory as a whole."""

SAMPLED_SHARDS: Final = 16
"""Shards that a sample is taken from: each is fetched as a whole, however few of its records are looked at."""

Source: TypeAlias = str | Manifest | Iterable[Any]
"""A manifest, its URL, shards and manifests as a write returns them, or records: mappings, rows, JSON text."""

_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Inference:
    """What was seen of all keys. Parts of it can be made in any order, by any number of threads, and merged.

    Args:
      ignore_case: whether keys that differ in case only are one column.
      exclude: keys that become no column.
    """

    def __init__(self, *, ignore_case: bool = False, exclude: Collection[str] = ()) -> None:
        check_exclude(exclude)
        self._ignore_case = ignore_case
        self._exclude = frozenset(exclude)
        self._keys: dict[str, KeyProfile] = {}
        self._capitals: set[str] = set()
        self._clash: tuple[str, str] | None = None

    def add(self, record: Any) -> None:
        """Take in a record.

        Raises:
          RecordError: it is not one JSON object.
          ConfigurationError: more keys than a table has columns.
        """
        fields = _fields_of(record)
        for key, value in fields.items():
            seen = self._keys.get(key)
            if seen is None:
                if key in self._exclude:
                    continue
                seen = self._begin(key)
            seen.add(value)
        if not self._capitals.isdisjoint(fields):
            self._note_clash(fields)

    def merge(self, other: Inference) -> None:
        """Take in all that another one saw; it must have been made with the same arguments."""
        for key, seen in other._keys.items():
            (self._keys.get(key) or self._begin(key)).merge(seen)
        self._clash = min(filter(None, (self._clash, other._clash)), default=None)

    def columns(self) -> list[Column]:
        """Return the columns, in the order in which their keys were first seen.

        Raises:
          ConfigurationError: no key at all, a key that can be no column's name, or two that are one name to Redshift.
        """
        groups: dict[str, list[str]] = {}
        for key in self._keys:
            groups.setdefault(_name_of(key), []).append(key)
        self._check_groups(groups)
        if not groups:
            raise ConfigurationError("records has no key at all: there is nothing to make columns of")
        return as_columns([self._column(name, keys) for name, keys in groups.items()], "records")

    def _begin(self, key: str) -> KeyProfile:
        if folded(key) != key:
            self._capitals.add(key)
        seen = self._keys[key] = KeyProfile()
        # a name may have several spellings, but not as many as there are keys where data is used as keys
        if len(self._keys) > MAX_COLUMNS and len({folded(name) for name in self._keys}) > MAX_COLUMNS:
            raise ConfigurationError(
                f"records has more than {MAX_COLUMNS} keys, which is more than a table's columns: exclude= some, or "
                "load records whole, into one SUPER column, with mapping='noshred'"
            )
        return seen

    def _note_clash(self, fields: Mapping[str, Any]) -> None:
        names: dict[str, str] = {}
        for key in sorted(fields.keys() - self._exclude):
            other = names.setdefault(folded(key), key)
            if other != key:
                self._clash = min(filter(None, (self._clash, (other, key))))

    def _check_groups(self, groups: Mapping[str, list[str]]) -> None:
        if self._clash is not None:
            first, second = self._clash
            raise ConfigurationError(
                f"records has one with both {first!r} and {second!r}, which are one column to Redshift: rename one "
                "before it is written, or exclude= it"
            )
        for keys in groups.values():
            if len(keys) > 1 and not self._ignore_case:
                first, second = sorted(keys)[:2]
                raise ConfigurationError(
                    f"records has {first!r} in some and {second!r} in others, which are one column to Redshift: rename "
                    "one before it is written, exclude= it, or give ignore_case=True and load with mapping='auto "
                    "ignorecase'"
                )

    def _column(self, name: str, keys: list[str]) -> Column:
        seen = functools.reduce(_merged, (self._keys[key] for key in keys), KeyProfile())
        # one with a capital, if there is one: it tells that COPY must ignore the case
        return Column(name, seen.type, min(keys), seen.min_type)


def check_exclude(exclude: Collection[str]) -> None:
    """Raise ConfigurationError for one text, whose characters would be the keys."""
    if isinstance(exclude, str):
        raise ConfigurationError(f"exclude={exclude!r} must be a collection of keys, not one text")


def infer_columns(
    source: Source,
    *,
    ignore_case: bool = False,
    exclude: Collection[str] = (),
    sample: int | None = None,
    fetch: FetchBytes | None = None,
    threads: int = THREADS,
) -> list[Column]:
    """Return a column for each key of the records, of the smallest type that holds what was seen.

    Whole numbers become BIGINT, or DECIMAL(38, 0) beyond 64 bits; others DOUBLE PRECISION; `Decimal`s DECIMAL; texts
    VARCHAR with room to grow, or DATE, TIMESTAMP (without a zone), TIMESTAMPTZ (with one) where each is one; objects,
    arrays, and values of several kinds SUPER. Numbers that no type holds to the last digit become VARCHAR, and so does
    a key with nothing but nulls, as that loads whatever comes. Texts of digits stay texts. Columns are nullable and
    their names in lower case; `mapping_of` says how COPY finds them.

    Args:
      source: records, or where they are; see `Source`.
      ignore_case: whether keys that differ in case only are one column, which COPY fills with `"auto ignorecase"`.
      exclude: keys that become no column; COPY passes over them.
      sample: look at about so many records only: the first, of some shards all over the manifest. What others hold may
        not fit, and COPY passes over keys that only they have. None looks at all.
      fetch: returns the bytes behind a URL; None for a `StoreReader`, which finds keys as boto3 does.
      threads: shards read at a time.

    Raises:
      ConfigurationError: no records, keys that can't be columns, or no manifest.
      RecordError: a record that is not one JSON object.
      StoreError: a manifest or shard can't be read.
    """
    check_whole("threads", threads, 1)
    if sample is not None:
        check_whole("sample", sample, 1)
    if isinstance(source, str | Manifest):
        source = [source] if isinstance(source, Manifest) else [_ManifestUrl(source)]
    items = iter(source)
    first = next(items, None)
    items = items if first is None else itertools.chain([first], items)
    if not isinstance(first, ShardFile | Manifest | _ManifestUrl):
        inference = Inference(ignore_case=ignore_case, exclude=exclude)
        return _of_records(itertools.islice(items, sample), inference).columns()
    fetch = StoreReader() if fetch is None else fetch
    urls = [url for item in items for url in _urls_of(item, fetch)]
    return columns_of_shards(urls, fetch, ignore_case=ignore_case, exclude=exclude, sample=sample, threads=threads)


def columns_of_shards(
    urls: Iterable[str],
    fetch: FetchBytes,
    *,
    ignore_case: bool = False,
    exclude: Collection[str] = (),
    sample: int | None = None,
    threads: int = THREADS,
) -> list[Column]:
    """Return the columns for the records of shards of JSON lines.

    Several shards are read at a time, and the result is the same as if they were read one after the other.

    Args:
      urls: of the shards.
      fetch: returns the bytes behind a URL.
      ignore_case: see `infer_columns`, as for the others.
      exclude: keys that become no column.
      sample: how many records to look at, about; None for all.
      threads: shards read at a time.

    Raises:
      ConfigurationError, RecordError, StoreError: see `infer_columns`.
    """
    if sample is not None:
        check_whole("sample", sample, 1)
    new = functools.partial(Inference, ignore_case=ignore_case, exclude=exclude)
    chosen = list(dict.fromkeys(urls))
    if sample is not None:
        chosen = _spread(chosen, SAMPLED_SHARDS)
    share = math.ceil(sample / len(chosen)) if sample is not None and chosen else None

    def one(url: str) -> Inference:
        lines = itertools.islice(shard_lines(url, fetch), share)
        try:
            return _of_records(lines, new())
        except RecordError as exc:
            raise RecordError(f"{url} has a line that is no record: {exc}", exc.reason) from exc

    whole = new()
    for part in Threads(threads, "beam_s3box-infer").map(one, chosen):
        whole.merge(part)
    return whole.columns()


class _ManifestUrl(str):
    """Text that is no record."""

    __slots__ = ()


def _urls_of(item: Any, fetch: FetchBytes) -> Sequence[str]:
    if isinstance(item, ShardFile):
        return [item.url]
    url = item.url if isinstance(item, Manifest) else str(item)
    return read_manifest(url, fetch, 0).files  # how many rows COPY makes of them does not matter here


def _of_records(records: Iterable[Any], inference: Inference) -> Inference:
    for record in records:
        inference.add(record)
    return inference


def _spread(urls: list[str], count: int) -> list[str]:
    """Return at most so many of them, at even distances, the first and the last among them."""
    if len(urls) <= count:
        return urls
    return [urls[number * (len(urls) - 1) // (count - 1)] for number in range(count)]


def _fields_of(record: Any) -> Mapping[str, Any]:
    if isinstance(record, bytes | str):
        return _parse(record.encode("utf-8", "surrogatepass") if isinstance(record, str) else record)
    fields = as_mapping(record)
    if fields is None:
        raise NotAnObjectError(f"{type(record).__name__} is no record: give mappings, rows or JSON text of objects")
    # keys that are no text have a form in JSON, which is the record's own business
    return fields if all(type(key) is str for key in fields) else _parse(encode_record(fields))


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        return _OBJECT.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        refusal = diagnose(line)
        if refusal is not None:
            raise refusal from exc
    return json.loads(line, parse_float=_exact_float)  # type: ignore[no-any-return]


def _exact_float(text: str) -> float | decimal.Decimal:
    """Return a number, also one that no float can hold."""
    number = float(text)
    return number if math.isfinite(number) else decimal.Decimal(text)


def _name_of(key: str) -> str:
    name = folded(key)
    if not key or "\0" in key or len(key.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise ConfigurationError(
            f"records has the key {key!r}, which can be no column's name: it must have 1 to {MAX_NAME_BYTES} bytes and "
            "no NUL; rename it before it is written, exclude= it, or load it through a jsonpaths file"
        )
    return name


def _merged(one: KeyProfile, other: KeyProfile) -> KeyProfile:
    one.merge(other)
    return one
