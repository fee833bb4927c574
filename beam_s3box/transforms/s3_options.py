"""What Beam's own `--s3_*` options say about S3."""

from __future__ import annotations

import dataclasses

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import S3Options

from beam_s3box.stores.s3_settings import Credentials, S3Settings

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def settings_with_options(settings: S3Settings, options: S3Options) -> S3Settings:
    """Return the settings, what they leave open taken from Beam's options; keys stay out of it."""
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


def credentials_of_options() -> Credentials | None:
    """Return the keys that Beam's `--s3_*` options carry, or None if they carry none.

    Read in the worker from the options that Beam hands it, so that a pipeline's graph never holds them.
    """
    options = FileSystems._pipeline_options  # the only place where a worker keeps them
    if options is None:
        return None
    s3 = options.view_as(S3Options)
    if not s3.s3_access_key_id or not s3.s3_secret_access_key:
        return None
    return Credentials(s3.s3_access_key_id, s3.s3_secret_access_key, s3.s3_session_token)
