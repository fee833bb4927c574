"""Settings and keys of S3 from Beam's own `--s3_*` options."""

from __future__ import annotations

import dataclasses

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import S3Options

from beam_s3box.shards.runs import new_token
from beam_s3box.stores.s3_settings import Credentials, S3Settings

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def settings_with_options(settings: S3Settings, options: S3Options) -> S3Settings:
    """Return the settings, completed from Beam's options, without keys."""
    changes: dict[str, object] = {}
    if settings.endpoint_url is None and options.s3_endpoint_url:
        changes["endpoint_url"] = options.s3_endpoint_url
    if settings.region is None and options.s3_region_name:
        changes["region"] = options.s3_region_name
    if settings.verify is True and options.s3_verify is not None:
        changes["verify"] = _TRUTHS.get(str(options.s3_verify).lower(), options.s3_verify)
    if options.s3_disable_ssl:
        changes["use_ssl"] = False
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class CredentialsOfPipeline:
    """Finds the keys in the `--s3_*` options of a pipeline, where a client needs them; None if there are none.

    The keys are never pickled with the graph. In the process that built the pipeline they are found by the token; in a
    worker process, in the options that Beam passes to that worker. Beam keeps the options of only one pipeline in a
    process, the one that was built last, so that these do not apply to others there.

    Attributes:
      token: names the keys in the process that built the pipeline; random.
    """

    token: str

    def __call__(self) -> Credentials | None:
        """Return the keys."""
        if self.token in _BUILT_HERE:
            return _BUILT_HERE[self.token]
        options = FileSystems._pipeline_options  # the only place where a worker has them
        return None if options is None else _keys_of(options.view_as(S3Options))


_BUILT_HERE: dict[str, Credentials | None] = {}
"""Keys of the pipelines that were built in this process, by token; equal keys share one."""


def credentials_of(options: S3Options) -> CredentialsOfPipeline:
    """Return an object that finds the keys of a pipeline with these options, here and in its workers."""
    keys = _keys_of(options)
    known = (token for token, other in _BUILT_HERE.copy().items() if _same(keys, other))
    token = next(known, None) or new_token()
    _BUILT_HERE[token] = keys
    return CredentialsOfPipeline(token)


def _keys_of(s3: S3Options) -> Credentials | None:
    if not s3.s3_access_key_id or not s3.s3_secret_access_key:
        return None
    return Credentials(s3.s3_access_key_id, s3.s3_secret_access_key, s3.s3_session_token)


def _same(keys: Credentials | None, other: Credentials | None) -> bool:
    if keys is None or other is None:
        return keys is other
    return all(getattr(keys, name) == getattr(other, name) for name in Credentials.__slots__)
