"""The runner that a job's options name, with what a local one needs to hand them to its workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apache_beam.options.pipeline_options import (
    DirectOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    S3Options,
    StandardOptions,
    WorkerOptions,
)
from apache_beam.runners.runner import create_runner

from beam_s3box.cli.options.jobs import STREAM_RUNNERS
from beam_s3box.errors import ConfigurationError

if TYPE_CHECKING:
    from apache_beam.runners.runner import PipelineRunner

_LOCAL = ("fnapirunner", "directrunner", "switchingdirectrunner")
_FLINK = ("flinkrunner", "portablerunner")


def runner_of(options: PipelineOptions) -> PipelineRunner:
    """Return the runner.

    Raises:
      ConfigurationError: there is no such runner.
    """
    name = options.view_as(StandardOptions).runner
    if starts_processes(options):
        _quiet_workers(options)
    if _short_name(name) == "fnapirunner":
        return _fn_api_runner(options)
    try:
        return create_runner(name)
    except (ImportError, ValueError, AttributeError) as exc:
        raise ConfigurationError(f"--runner={name} can't be used: {' '.join(str(exc).split())}") from exc


def check_stream_runner(options: PipelineOptions) -> None:
    """Raise ConfigurationError if no runner is given: none of Beam's local ones in Python would do."""
    if not options.view_as(StandardOptions).runner:
        raise ConfigurationError(f"--runner is missing: a streaming job runs on {STREAM_RUNNERS}")


def ends_with_launcher(options: PipelineOptions) -> bool:
    """Return whether the pipeline runs in this process or in children of it, and ends with it."""
    name = _short_name(options.view_as(StandardOptions).runner or "")
    has_own_server = not options.view_as(PortableOptions).job_endpoint
    return name in _LOCAL or (name == "prismrunner" and has_own_server)


def is_flink(options: PipelineOptions) -> bool:
    """Return whether the pipeline runs on Flink, as far as the options show: a job server may be Flink's."""
    return _short_name(options.view_as(StandardOptions).runner or "") in _FLINK


def is_dataflow(options: PipelineOptions) -> bool:
    """Return whether the pipeline runs on Google's Dataflow."""
    return _short_name(options.view_as(StandardOptions).runner or "") == "dataflowrunner"


def template_of(options: PipelineOptions) -> str | None:
    """Return where the job is to be staged as a template, which others start later, elsewhere; None to run it."""
    location: str | None = options.view_as(GoogleCloudOptions).template_location
    # other runners don't know the option, and run the job
    return location if is_dataflow(options) else None


def check_keys_stay_here(options: PipelineOptions) -> None:
    """Raise ConfigurationError for keys of S3 among the options of a Dataflow job: its description shows them all."""
    s3 = options.view_as(S3Options)
    for name in ("s3_secret_access_key", "s3_session_token"):
        if is_dataflow(options) and getattr(s3, name):
            raise ConfigurationError(
                f"--{name} would be in the description of the Dataflow job, which everybody who may view the job can "
                "read, and in a template: let its workers find keys themselves, as AWS_* variables or a web "
                "identity of their image, and give the launcher its own as AWS_* variables"
            )


def is_local(options: PipelineOptions) -> bool:
    """Return whether the runner is one of Beam's in pure Python."""
    return _short_name(options.view_as(StandardOptions).runner) in _LOCAL


def starts_processes(options: PipelineOptions) -> bool:
    """Return whether the runner starts worker processes on this machine, as children of this one."""
    return is_local(options) and options.view_as(DirectOptions).direct_running_mode == "multi_processing"


def _short_name(name: str) -> str:
    """Return the name of a runner as Beam reads it: in lower case, and `direct` for `DirectRunner`."""
    short = name.rpartition(".")[2].lower()
    return short if short.endswith("runner") else f"{short}runner"


def _quiet_workers(options: PipelineOptions) -> None:
    """Let local worker processes log less, unless the user said how much: by default they print all options, keys too.

    What fails in them is raised here.
    """
    worker = options.view_as(WorkerOptions)
    worker.default_sdk_harness_log_level = worker.default_sdk_harness_log_level or "CRITICAL"


def _fn_api_runner(options: PipelineOptions) -> PipelineRunner:
    """Return Beam's local runner with the options: created by name, it passes none to worker processes."""
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import fn_runner
    from apache_beam.runners.portability.portable_runner import JobServiceHandle

    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options(drop_default=True))
    provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    return fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(provision))
