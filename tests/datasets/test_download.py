"""Downloads into the cache folder: what arrives, what is asked for again, and what is left behind."""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from deepcore.datasets import cache
from deepcore.datasets.cache import cache_folder, fetch
from deepcore.errors import CorruptedFileError

CONTENT = np.random.default_rng(7).bytes(10_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def names(folder: Path) -> set[str]:
    """What is in the cache folder, but for the file that only serves as a lock."""
    return {path.name for path in folder.iterdir()} - {".lock"}


@pytest.fixture
def dead_url():
    """A URL of a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/file"


def test_cache_folder_is_in_the_home_folder_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("DEEPCORE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".deepcore" / "datasets"
    monkeypatch.setenv("DEEPCORE_HOME", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere" / "datasets"


def test_a_download_is_kept_and_not_asked_for_again(host, cached):
    host.files["file"] = CONTENT
    path = fetch("folder/file", [f"{host.url}/file"], SHA256)
    assert path == cached / "folder" / "file"
    assert path.read_bytes() == CONTENT
    assert fetch("folder/file", [f"{host.url}/file"], SHA256) == path
    assert host.requests == [None]
    assert names(path.parent) == {"file"}


def test_a_cached_file_needs_neither_pooch_nor_a_writable_folder(cached, monkeypatch):
    cached.mkdir(parents=True)
    (cached / "file").write_bytes(CONTENT)
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert fetch("file", [], SHA256).read_bytes() == CONTENT
    assert names(cached) == {"file"}
    assert not (cached / ".lock").exists()


def test_a_wrong_file_is_removed_and_both_checksums_are_named(host, cached):
    host.files["file"] = wrong = CONTENT[::-1]
    with pytest.raises(CorruptedFileError, match="not the published file") as raised:
        fetch("file", [f"{host.url}/file"], SHA256)
    assert SHA256 in str(raised.value)
    assert hashlib.sha256(wrong).hexdigest() in str(raised.value)
    assert names(cached) == set()
    assert len(host.requests) == 1  # sending the same wrong file again would not help


def test_a_broken_transfer_goes_on_from_where_it_stopped(host, cached):
    host.files["file"] = CONTENT
    host.cuts = [3000, 4000]
    assert fetch("file", [f"{host.url}/file"], SHA256).read_bytes() == CONTENT
    assert host.requests == [None, "bytes=3000-", "bytes=7000-"]
    assert names(cached) == {"file"}


def test_what_arrived_is_kept_for_a_later_call(host, cached):
    host.files["file"] = CONTENT
    host.cuts = [1000, 1000, 1000]
    with pytest.raises(ConnectionError, match=r"could not be downloaded(.|\n)*path="):
        fetch("file", [f"{host.url}/file"], SHA256)
    assert names(cached) == {"file.part"}
    assert (cached / "file.part").read_bytes() == CONTENT[:3000]
    fetch("file", [f"{host.url}/file"], SHA256)
    assert host.requests[3:] == ["bytes=3000-"]
    assert names(cached) == {"file"}


def test_a_host_without_range_requests_sends_everything_again(host, cached):
    host.files["file"] = CONTENT
    host.ranges = False
    host.cuts = [3000]
    assert fetch("file", [f"{host.url}/file"], SHA256).read_bytes() == CONTENT
    assert host.requests == [None, "bytes=3000-"]


def test_an_interrupt_leaves_only_the_part(host, cached, monkeypatch):
    from rich.progress import Progress

    host.files["file"] = CONTENT
    calls = []

    def interrupt(self, task, **values):
        calls.append(values)
        if len(calls) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch("file", [f"{host.url}/file"], SHA256)
    assert names(cached) == {"file.part"}
    assert (cached / "file.part").read_bytes() == CONTENT[:4000]
    assert fetch("file", [f"{host.url}/file"], SHA256).read_bytes() == CONTENT
    assert host.requests == [None, "bytes=4000-"]


@pytest.mark.parametrize(
    "stale", [CONTENT[::-1][:5000], CONTENT[::-1], CONTENT + b"more"], ids=["short", "full", "long"]
)
def test_a_stale_part_costs_one_more_download_and_nothing_else(host, cached, stale):
    cached.mkdir(parents=True)
    (cached / "file.part").write_bytes(stale)
    host.files["file"] = CONTENT
    assert fetch("file", [f"{host.url}/file"], SHA256).read_bytes() == CONTENT
    assert host.requests == [f"bytes={len(stale)}-", None]
    assert names(cached) == {"file"}


def test_a_part_that_is_already_whole_is_taken(host, cached):
    cached.mkdir(parents=True)
    (cached / "file.part").write_bytes(CONTENT)
    host.files["file"] = CONTENT
    assert fetch("file", [f"{host.url}/file"], SHA256).read_bytes() == CONTENT
    assert host.requests == [f"bytes={len(CONTENT)}-"]
    assert names(cached) == {"file"}


def test_gzipped_files_are_stored_as_they_are_whatever_the_encoding_header_says(host, cached):
    import gzip

    packed = gzip.compress(CONTENT)
    host.files["file.gz"] = packed
    host.headers["Content-Encoding"] = "gzip"
    path = fetch("file.gz", [f"{host.url}/file.gz"], hashlib.sha256(packed).hexdigest())
    assert path.read_bytes() == packed


def test_the_next_host_is_tried_and_goes_on_with_the_same_part(host, cached, dead_url):
    host.files["second"] = host.files["first"] = CONTENT
    host.cuts = [5000]
    urls = [dead_url, f"{host.url}/absent", f"{host.url}/first", f"{host.url}/second"]
    assert fetch("file", urls, SHA256).read_bytes() == CONTENT
    assert host.requests == [None, None, "bytes=5000-"]


def test_a_busy_host_is_asked_again_and_a_missing_file_is_not(host, cached):
    host.files["file"] = CONTENT
    host.statuses = [503, 429]
    assert fetch("file", [f"{host.url}/file"], SHA256).read_bytes() == CONTENT
    assert len(host.requests) == 3
    host.requests.clear()
    with pytest.raises(ConnectionError, match="404"):
        fetch("other", [f"{host.url}/absent"], SHA256)
    assert len(host.requests) == 1


def test_an_unreachable_host_names_the_way_out(cached, dead_url):
    with pytest.raises(ConnectionError, match="could not be downloaded") as raised:
        fetch("file", [dead_url], SHA256)
    assert dead_url in str(raised.value)
    assert "path=" in str(raised.value)
    assert str(cached / "file") in str(raised.value)
    assert names(cached) == set()


def test_a_damaged_cached_file_is_replaced_once(host, cached):
    cached.mkdir(parents=True)
    (cached / "file").write_bytes(damaged := CONTENT[:-1])
    host.files["file"] = CONTENT
    with pytest.warns(UserWarning, match="is damaged") as warned:
        assert fetch("file", [f"{host.url}/file"], SHA256).read_bytes() == CONTENT
    for told in (str(cached / "file"), SHA256, hashlib.sha256(damaged).hexdigest()):
        assert told in str(warned[0].message)
    assert host.requests == [None]


def test_a_damaged_cached_file_that_cannot_be_replaced_is_an_error_that_says_what_to_do(cached, dead_url):
    cached.mkdir(parents=True)
    (cached / "file").write_bytes(damaged := CONTENT[:-1])
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(CorruptedFileError, match="Delete it") as raised:
        fetch("file", [dead_url], SHA256)
    for told in (str(cached / "file"), SHA256, hashlib.sha256(damaged).hexdigest()):
        assert told in str(raised.value)
    assert (cached / "file").read_bytes() == damaged


def test_several_at_once_download_once(host, cached):
    host.files["file"] = CONTENT
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch("file", [f"{host.url}/file"], SHA256).read_bytes()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [CONTENT] * 4
    assert host.requests == [None]


def test_a_cache_folder_that_cannot_be_made_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEEPCORE_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="DEEPCORE_HOME"):
        fetch("file", [], SHA256)


def test_without_pooch_the_install_line_is_given(cached, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"pip install 'deepcore\[data\]'"):
        fetch("file", ["http://127.0.0.1:1/file"], SHA256)


def test_waits_grow_between_rounds():
    assert list(cache.WAITS) == sorted(set(cache.WAITS))
    assert cache.WAITS[0] == 0
