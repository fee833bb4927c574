"""The settings of S3, and keys that are given in code, which are never pickled."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import NoReturn

from beam_s3box.checks import check_bool, check_positive, check_type, check_whole
from beam_s3box.errors import ConfigurationError
from beam_s3box.sizes import GiB, MiB
from beam_s3box.stores.urls import split_url

MIN_PART_BYTES = 5 * MiB
"""The minimum size of a part in S3, except for the last one."""

MAX_PART_BYTES = 5 * GiB
"""The maximum size of a part in S3, and of an object in one request."""

SSE = ("AES256", "aws:kms")
"""Server-side encryption that Redshift supports: with S3's keys, or with keys in KMS."""

ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
"""The canned ACLs of S3."""

MAX_ATTEMPTS = 100
"""More than any reasonable time allows."""

_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/\S+", re.ASCII)
_STORAGE_CLASS = re.compile(r"[A-Z][A-Z0-9_]*")
_ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
"""The storage classes whose objects can't be read before they are restored."""

_MAX_TAGS = 10


@dataclasses.dataclass(frozen=True)
class S3Settings:
    """The connection to S3, and the properties of objects. It has no secrets and is pickled with a pipeline.

    Attributes:
      region: the region of the bucket; None for that of boto3.
      endpoint_url: the URL of an S3-compatible server; None for AWS.
      profile: a profile in the AWS configuration files, which every worker must have.
      role_arn: a role to assume with STS; its credentials are renewed when they expire.
      sse: server-side encryption, one of `SSE`; None for the bucket's default.
      sse_kms_key_id: the KMS key, for `sse="aws:kms"`.
      storage_class: the storage class, such as "STANDARD_IA"; None for the server's default.
      tags: the tags of each object, at most 10.
      acl: the canned ACL of each object, one of `ACLS`.
      retry_seconds: time for which a request is retried after transient errors, with increasing waits.
      max_attempts: maximum attempts of each request, including the first; usually the time ends earlier.
      conditional_writes: whether requests have `If-None-Match` and `If-Match`, so that the server writes only new
        objects, or replaces only the version that was read. Set it to False for a server that refuses or ignores them.
        Then a claim or a manifest is looked for before it is written, and another writer may come in between; shards
        are not looked for, as no two have the same key.
      checksums: whether each request has the SHA-256 of its body for the server to check. Set it to False for a server
        that refuses such headers. Then a server can only check the SHA-256 in the signature.
      concurrency: parts of one object that are uploaded at the same time.
      part_bytes: the size of a part, 5 MiB to 5 GiB.
      multipart_bytes: larger objects are uploaded in parts.
      connect_timeout: maximum seconds to open a connection.
      read_timeout: maximum seconds without a byte from the server.
      use_ssl: whether to use TLS with AWS; an `endpoint_url` has its own scheme.
      verify: whether to verify the server's certificate, or the path of a file with trusted certificates.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    sse: str | None = None
    sse_kms_key_id: str | None = None
    storage_class: str | None = None
    # copied below; not in the hash, because dicts are not hashable
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    acl: str | None = None
    retry_seconds: float = 120.0
    max_attempts: int = MAX_ATTEMPTS
    conditional_writes: bool = True
    checksums: bool = True
    concurrency: int = 8
    part_bytes: int = 16 * MiB
    multipart_bytes: int = 64 * MiB
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    use_ssl: bool = True
    verify: bool | str = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", _check_tags(self.tags))
        self._check_reach()
        self._check_encryption()
        _check_choice("acl", self.acl, ACLS)
        _check_pattern("storage_class", self.storage_class, _STORAGE_CLASS, "as STANDARD_IA")
        if self.storage_class in _ARCHIVES:
            raise ConfigurationError(
                f"storage_class={self.storage_class!r} must be one whose objects can be read at once, because records, "
                "manifests and shards are read after they are written: give GLACIER_IR, or let a lifecycle rule on "
                "data/ move old shards there"
            )
        check_positive("retry_seconds", self.retry_seconds)
        check_whole("max_attempts", self.max_attempts, 1, MAX_ATTEMPTS)
        check_whole("concurrency", self.concurrency, 1, 256)
        check_whole("part_bytes", self.part_bytes, MIN_PART_BYTES, MAX_PART_BYTES)
        check_whole("multipart_bytes", self.multipart_bytes, 1, MAX_PART_BYTES)
        check_positive("connect_timeout", self.connect_timeout)
        check_positive("read_timeout", self.read_timeout)

    def _check_reach(self) -> None:
        _check_pattern("region", self.region, _REGION, "as eu-central-1")
        _check_pattern("role_arn", self.role_arn, _ROLE_ARN, "as arn:aws:iam::123456789012:role/name")
        if self.endpoint_url is not None:
            _check_endpoint(self.endpoint_url)
        if self.profile is not None and not (isinstance(self.profile, str) and self.profile.strip()):
            raise ConfigurationError(
                f"profile={self.profile!r} must be the name of an AWS profile; None for the default"
            )
        for name in ("use_ssl", "conditional_writes", "checksums"):
            check_bool(name, getattr(self, name))
        if not isinstance(self.verify, bool) and not (isinstance(self.verify, str) and self.verify):
            raise ConfigurationError(f"verify={self.verify!r} must be True, False or a file of certificates")

    def _check_encryption(self) -> None:
        _check_choice("sse", self.sse, SSE)
        if self.sse_kms_key_id is not None and self.sse != "aws:kms":
            raise ConfigurationError(
                f"sse_kms_key_id={self.sse_kms_key_id!r} needs sse='aws:kms', not sse={self.sse!r}: add it, or leave "
                "the key out"
            )
        if self.sse_kms_key_id is not None and not (isinstance(self.sse_kms_key_id, str) and self.sse_kms_key_id):
            raise ConfigurationError(
                "sse_kms_key_id must be a KMS key's id, alias or ARN; None for the account's own key"
            )


def s3_settings_of(s3: S3Settings | None) -> S3Settings:
    """Return the settings that a user gave as `s3`; the defaults for None.

    Raises:
      ConfigurationError: something else, such as a dict.
    """
    if s3 is None:
        return S3Settings()
    return check_type("s3", s3, S3Settings, "S3Settings(region='eu-central-1'), or None for the defaults")


class Credentials:
    """AWS keys that are given in code: never shown, never pickled.

    Attributes:
      access_key: the access key id.
      secret_key: the secret access key.
      token: the session token of temporary keys.
    """

    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, access_key: str, secret_key: str, token: str | None = None) -> None:
        self.access_key = _check_secret("access_key", access_key)
        self.secret_key = _check_secret("secret_key", secret_key)
        self.token = None if token is None else _check_secret("token", token)

    def __repr__(self) -> str:
        # four characters of a key id are enough to distinguish keys; a short one would be revealed
        shown = f"…{self.access_key[-4:]}" if len(self.access_key) >= 16 else "…"
        return f"Credentials({shown})"

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            "keys given in code can't travel with a pipeline: use the environment, a profile, a role or Beam's "
            "--s3_access_key_id, or give a function that finds the keys on the worker"
        )


def _check_secret(name: str, value: object) -> str:
    # the value is not shown; a copied key or token often has extra white space
    if not isinstance(value, str) or not value or any(not "!" <= character <= "~" for character in value):
        raise ConfigurationError(f"{name} must be printable ASCII text without white space: copy it again")
    return value


def _check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(tags, Mapping):
        raise ConfigurationError(f"tags={tags!r} must be a mapping from names to values")
    if len(tags) > _MAX_TAGS:
        raise ConfigurationError(f"tags has {len(tags)} entries; S3 takes at most {_MAX_TAGS}")
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str) or not 1 <= len(name) <= 128 or len(value) > 256:
            raise ConfigurationError(
                f"tags has {name!r}: {value!r}; S3 takes names of 1 to 128 and values of at most 256 characters"
            )
    return dict(tags)


def _check_endpoint(url: object) -> None:
    parts = split_url(url)
    if parts is not None and (parts.user is not None or parts.password is not None):
        raise ConfigurationError("endpoint_url must not hold a user or a password: give keys as AWS keys")
    if parts is None and isinstance(url, str) and "@" in url:
        raise ConfigurationError("endpoint_url must be an http:// or https:// URL without @, as http://localhost:9000")
    if parts is None or parts.scheme not in ("http", "https") or not parts.host or parts.query or parts.fragment:
        raise ConfigurationError(f"endpoint_url={url!r} must be an http:// or https:// URL, as http://localhost:9000")


def _check_pattern(name: str, value: object, pattern: re.Pattern[str], example: str) -> None:
    if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
        raise ConfigurationError(f"{name}={value!r} is not one: write it {example}, or None for the default")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise ConfigurationError(
            f"{name}={value!r} must be one of {', '.join(choices)}, or None for the bucket's default"
        )
