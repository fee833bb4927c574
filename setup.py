"""Package the connector: for `pip install .`, and for Beam's `--setup_file=./setup.py`."""

from __future__ import annotations

import re
from pathlib import Path

import setuptools

HERE = Path(__file__).resolve().parent


def read_version() -> str:
    """Return `__version__` of the package, read as text: its dependencies may not be installed yet."""
    text = (HERE / "beam_s3box" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if match is None:
        raise RuntimeError('beam_s3box/__init__.py has no line __version__ = "..."')
    return match[1]


setuptools.setup(
    name="beam_s3box",
    version=read_version(),
    description="Apache Beam connector: any PCollection to gzip JSON shards on S3, with manifests for Redshift COPY",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    keywords=[
        "apache-beam",
        "s3",
        "redshift",
        "copy",
        "manifest",
        "gzip",
        "json",
        "jsonl",
        "avro",
        "dataflow",
        "flink",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Operating System :: POSIX",  # files are locked with fcntl
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Database",
        "Topic :: Software Development :: Libraries :: Python Modules",
        "Topic :: System :: Archiving :: Compression",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=setuptools.find_packages(include=["beam_s3box", "beam_s3box.*"]),
    package_data={"beam_s3box": ["py.typed"]},
    entry_points={"console_scripts": ["s3box = beam_s3box.cli.main:main"]},
    # Beam changes its runners with every minor version: the tests run with the newest of these, and those of the
    # transforms with the oldest, too (`make test-beam`).
    install_requires=[
        "apache-beam>=2.76,<2.78",
        "backports.zstd>=1.0; python_version < '3.14'",  # what fastavro reads files of codec zstandard with
        "boto3>=1.36",  # conditional writes and checksums of put_object
        "cramjam>=2.8",  # what fastavro reads snappy with, Spark's default codec of Avro
        "fastavro>=1.9",
        "msgspec>=0.19",
        "orjson>=3.10",
        "zlib-ng>=0.5",
    ],
    extras_require={
        "kafka": [
            "aws-msk-iam-sasl-signer-python>=1.0",  # logs in to Amazon MSK with IAM
            "confluent-kafka>=2.6",  # librdkafka
        ],
        "metrics": ["prometheus_client>=0.20"],  # what serves metrics to Prometheus
        "redshift": ["redshift_connector>=2.1"],  # Amazon's own driver; the Data API needs only boto3
    },
    zip_safe=False,
)
