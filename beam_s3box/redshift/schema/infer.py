"""Columns for records: one for each key, of the smallest type that holds all its values."""

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
from beam_s3box.records.encoding import diagnose, encode_record
from beam_s3box.records.json_values import as_mapping, whole_number
from beam_s3box.redshift.manifests import FetchBytes, StoreReader, read_manifest
from beam_s3box.redshift.schema.key_profile import FLOAT_BYTES, KeyProfile, LongFraction
from beam_s3box.redshift.schema.shard_lines import shard_lines
from beam_s3box.redshift.sql.columns import MAX_COLUMNS, Column, as_columns
from beam_s3box.redshift.sql.quoting import MAX_NAME_BYTES, folded
from beam_s3box.shards.model import ShardFile
from beam_s3box.system.threads import Threads

THREADS: Final = 4
"""Shards to read at a time: each is in memory as a whole."""

SAMPLED_SHARDS: Final = 16
"""Shards to take a sample from, at most: each is fetched as a whole, however few of its records are used."""

Source: TypeAlias = str | Manifest | Iterable[Any]
"""A manifest, its URL, shards and manifests as a write returns them, or records: mappings, rows, JSON text."""

_INFINITE: Final = math.inf


def _fraction(text: str) -> float | decimal.Decimal:
    """Return a number that knows how long it is, as a Decimal if no float can hold it."""
    number = float(text)
    if -_INFINITE < number < _INFINITE and len(text) <= FLOAT_BYTES:
        return number
    if not math.isfinite(number):
        return decimal.Decimal(text)
    long = LongFraction(number)
    long.size = len(text)
    return long


_OBJECT = msgspec.json.Decoder(dict[str, Any], float_hook=_fraction)


class Inference:
    """The profiles of all keys. Parts can be made in any order, by any number of threads, and merged.

    Args:
      ignore_case: whether keys that differ only in case are one column.
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
        """Add a record.

        Raises:
          RecordError: it is not one JSON object.
          ConfigurationError: more keys than a table can have columns.
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
        """Add all that another inference has; it must have been made with the same arguments."""
        for key, seen in other._keys.items():
            (self._keys.get(key) or self._begin(key)).merge(seen)
        self._clash = min(filter(None, (self._clash, other._clash)), default=None)

    def columns(self) -> list[Column]:
        """Return the columns, in the order in which their keys were first seen.

        Raises:
          ConfigurationError: no key, a key that can't be a column's name, or two that are one name to Redshift.
        """
        groups: dict[str, list[str]] = {}
        for key in self._keys:
            groups.setdefault(_name_of(key), []).append(key)
        self._check_groups(groups)
        if not groups:
            raise ConfigurationError("records has no keys: there is nothing to infer columns from")
        return as_columns([self._column(name, keys) for name, keys in groups.items()], "records")

    def _begin(self, key: str) -> KeyProfile:
        if folded(key) != key:
            self._capitals.add(key)
        seen = self._keys[key] = KeyProfile()
        # a name may have several spellings, but not as many as there are keys if data is used as keys
        if len(self._keys) > MAX_COLUMNS and len({folded(name) for name in self._keys}) > MAX_COLUMNS:
            raise ConfigurationError(
                f"records has more than {MAX_COLUMNS} keys, and a table has at most as many columns: exclude some "
                "(--redshift_exclude), or load whole records into one SUPER column with mapping='noshred' "
                "(--redshift_mapping)"
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
                "before it is written, or exclude it (--redshift_exclude)"
            )
        for keys in groups.values():
            if len(keys) > 1 and not self._ignore_case:
                first, second = sorted(keys)[:2]
                raise ConfigurationError(
                    f"records has {first!r} in some and {second!r} in others, which are one column to Redshift: rename "
                    "one before it is written, exclude it (--redshift_exclude), or ignore the case "
                    "(--redshift_ignore_case) and load with mapping='auto ignorecase'"
                )

    def _column(self, name: str, keys: list[str]) -> Column:
        seen = functools.reduce(_merged, (self._keys[key] for key in keys), KeyProfile())
        # a key with a capital letter, if there is one: COPY must ignore the case then
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
    """Return a column for each key of the records, of the smallest type that holds all its values.

    Whole numbers become BIGINT, or DECIMAL(38, 0) beyond 64 bits; others DOUBLE PRECISION; `Decimal`s DECIMAL; texts
    VARCHAR with room for longer ones, or DATE, TIMESTAMP (without a zone), TIMESTAMPTZ (with one) if each is one;
    objects, arrays, and values of several kinds SUPER. Numbers that no type holds exactly become VARCHAR, and so does
    a key with only nulls, as a VARCHAR loads any later value. Texts of digits stay texts. Columns are nullable and
    their names in lower case; `mapping_of` returns how COPY finds them.

    Args:
      source: records, or where they are; see `Source`.
      ignore_case: whether keys that differ only in case are one column, which COPY fills with `"auto ignorecase"`.
      exclude: keys that become no column; COPY skips them.
      sample: the approximate number of records to look at: the first ones of shards spread over the manifest. Values
        of other records may not fit, and COPY skips keys that only they have. None for all records.
      fetch: returns the bytes behind a URL; None for a `StoreReader`, which finds keys as boto3 does.
      threads: shards to read at a time.

    Raises:
      ConfigurationError: no records, keys that can't be columns, or an invalid manifest.
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

    Several shards are read at a time, with the same result as one after the other.

    Args:
      urls: of the shards.
      fetch: returns the bytes behind a URL.
      ignore_case: see `infer_columns`, as for the others.
      exclude: keys that become no column.
      sample: the approximate number of records to look at; None for all.
      threads: shards to read at a time.

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
            raise RecordError(f"{url} has a line that is not a record: {exc}", exc.reason) from exc

    whole = new()
    for part in Threads(threads, "beam_s3box-infer").map(one, chosen):
        whole.merge(part)
    return whole.columns()


class _ManifestUrl(str):
    """Marks a URL among texts that are records."""

    __slots__ = ()


def _urls_of(item: Any, fetch: FetchBytes) -> Sequence[str]:
    if isinstance(item, ShardFile):
        return [item.url]
    url = item.url if isinstance(item, Manifest) else str(item)
    return read_manifest(url, fetch, 0).files  # counts are not needed here


def _of_records(records: Iterable[Any], inference: Inference) -> Inference:
    for record in records:
        inference.add(record)
    return inference


def _spread(urls: list[str], count: int) -> list[str]:
    """Return at most `count` of them, evenly spread, including the first and the last."""
    if len(urls) <= count:
        return urls
    return [urls[number * (len(urls) - 1) // (count - 1)] for number in range(count)]


def _fields_of(record: Any) -> Mapping[str, Any]:
    if isinstance(record, bytes | str):
        return _parse(record.encode("utf-8", "surrogatepass") if isinstance(record, str) else record)
    fields = as_mapping(record)
    if fields is None:
        raise NotAnObjectError(f"{type(record).__name__} is not a record: give mappings, rows or JSON text of objects")
    # keys that are not texts become texts in JSON, in their own way
    return fields if all(type(key) is str for key in fields) else _parse(encode_record(fields))


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        return _OBJECT.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        refusal = diagnose(line)
        if refusal is not None:
            raise refusal from exc
    return json.loads(line, parse_float=_fraction, parse_int=whole_number)  # type: ignore[no-any-return]


def _name_of(key: str) -> str:
    name = folded(key)
    if not key or "\0" in key or len(key.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise ConfigurationError(
            f"records has the key {key!r}, which can't be a column's name: a name has 1 to {MAX_NAME_BYTES} bytes and "
            "no NUL; rename it before it is written, exclude it (--redshift_exclude), or load it with a jsonpaths file"
        )
    return name


def _merged(one: KeyProfile, other: KeyProfile) -> KeyProfile:
    one.merge(other)
    return one
