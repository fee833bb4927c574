"""What Prometheus gets, by its own parser and over HTTP."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from beam_s3box import S3Box
from beam_s3box.errors import ConfigurationError
from beam_s3box.prometheus import Collector, served
from beam_s3box.streamer import JsonBufferStreamer
from tools.processes import free_ports


def scraped(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def figures_of(collector: Collector) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(collector)
    return scraped(generate_latest(registry).decode())


def test_a_box(tmp_path: pathlib.Path) -> None:
    box = S3Box(str(tmp_path / "out"), domain="web", namespace="clicks")
    collector = Collector(box, {"stream": "web/clicks"})
    box.pack_many({"id": number} for number in range(7))
    before = figures_of(collector)
    assert (before["beam_s3box_records_total"], before["beam_s3box_pending"]) == (7, 7)
    box.create_manifests()
    after = figures_of(collector)
    assert (after["beam_s3box_shards_total"], after["beam_s3box_pending"]) == (1, 0)


def test_a_streamer(tmp_path: pathlib.Path) -> None:
    uploaded: list[object] = []
    with JsonBufferStreamer(uploaded.append, files_path=tmp_path) as streamer:
        streamer.open("web", "clicks")
        streamer.append("web", "clicks", {"id": 1})
        found = figures_of(Collector(streamer))
        assert (found["beam_s3box_records_total"], found["beam_s3box_pending_files"]) == (1, 0)
        assert found["beam_s3box_uploaded_files_total"] == 0
        streamer.flush()
        assert figures_of(Collector(streamer))["beam_s3box_uploaded_files_total"] == len(uploaded) == 1


def test_they_are_served_until_the_end() -> None:
    (port,) = free_ports(1)
    counts = {"records_in": 1}
    with served(lambda: counts, port):
        assert scraped(fetched(port))["beam_s3box_records_in_total"] == 1
        counts["records_in"] = 5
        assert scraped(fetched(port))["beam_s3box_records_in_total"] == 5
    with pytest.raises(urllib.error.URLError):
        fetched(port)
    with served(lambda: counts, port):  # it is free again
        assert fetched(port)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigurationError, match=rf"metrics_port={port} can't be used: .*; give another one"),
            served(dict, port),
        ):
            pytest.fail("it is in use")


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r"pip install prometheus_client"):
        Collector(dict)
    with served(dict, None):
        pass


def test_a_command_while_it_runs(tmp_path: pathlib.Path) -> None:
    (port,) = free_ports(1)
    command = [
        sys.executable, "-m", "beam_s3box", "pack", f"--destination={tmp_path}/out", "--domain=a", "--namespace=b",
        f"--metrics_port={port}", "--quiet",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b'{"id":1}\n' * 200_000)
        process.stdin.flush()
        found = eventually(port)
        process.stdin.close()
        assert process.wait(180) == 0
    assert 0 < found["beam_s3box_records_in_total"] <= 200_000


def eventually(port: int) -> dict[str, float]:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        try:
            found = scraped(fetched(port))
        except urllib.error.URLError:
            found = {}
        if found:
            return found
        time.sleep(0.1)
    pytest.fail("nothing was served")


def fetched(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())
