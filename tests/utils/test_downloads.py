"""get_file: from files made here, by their URLs; and archives that want to write elsewhere."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from deepcore.errors import CorruptedFileError
from deepcore.utils import get_file

CONTENT = b"words of the file\n" * 9000


@pytest.fixture
def origin(tmp_path):
    """The URL of a file."""
    path = tmp_path / "served" / "book.txt"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path.as_uri()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def served(tmp_path, kind, members):
    """The URL of an archive of (name, content) pairs."""
    path = tmp_path / f"served.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members:
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, content in members:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path.as_uri()


def test_a_file_is_downloaded_once(origin, cache, capsys):
    path = get_file(origin=origin, cache_dir=cache)
    assert path == str(cache / "datasets" / "book.txt")
    assert Path(path).read_bytes() == CONTENT
    assert names(cache) == ["datasets/book.txt"]
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"Downloading data from {origin}"
    assert last.startswith(f"{len(CONTENT)}/{len(CONTENT)} ")
    Path(path).write_text("changed")
    assert Path(get_file(origin=origin, cache_dir=cache)).read_text() == "changed"
    assert capsys.readouterr().out == ""
    get_file(origin=origin, cache_dir=cache, force_download=True)
    assert Path(path).read_bytes() == CONTENT


def test_names_and_folders(origin, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPCORE_HOME", str(tmp_path / "home"))
    assert get_file("mine.txt", origin, cache_subdir="texts") == str(tmp_path / "home" / "texts" / "mine.txt")
    assert get_file(origin=origin) == str(tmp_path / "home" / "datasets" / "book.txt")
    assert get_file("x", origin, cache_subdir=str(tmp_path / "elsewhere")) == str(tmp_path / "elsewhere" / "x")


@pytest.mark.parametrize(
    ("algorithm", "given"),
    [("sha256", "file_hash"), ("md5", "file_hash"), ("md5", "md5_hash")],
)
@pytest.mark.parametrize("named", [True, False])
def test_hashes(origin, cache, algorithm, given, named, capsys):
    options = {given: hashlib.new(algorithm, CONTENT).hexdigest()}
    if named and given == "file_hash":
        options["hash_algorithm"] = algorithm
    path = Path(get_file(origin=origin, cache_dir=cache, **options))
    path.write_bytes(b"damaged")
    get_file(origin=origin, cache_dir=cache, **options)
    assert path.read_bytes() == CONTENT
    assert "has another hash than" in capsys.readouterr().out


def test_another_hash_leaves_nothing_behind(origin, cache):
    with pytest.raises(CorruptedFileError, match=r"Incomplete or corrupted file detected.*expected 0000"):
        get_file(origin=origin, cache_dir=cache, file_hash="0" * 64)
    assert names(cache) == []
    with pytest.raises(ValueError, match="corrupted"):
        get_file(origin=origin, cache_dir=cache, file_hash="0" * 32)


def test_a_failed_download_leaves_what_was_there(origin, cache, tmp_path):
    path = Path(get_file(origin=origin, cache_dir=cache))
    (tmp_path / "served" / "book.txt").unlink()
    with pytest.raises(ConnectionError, match=r"URL fetch failure on file:.*book.txt"):
        get_file(origin=origin, cache_dir=cache, force_download=True)
    assert path.read_bytes() == CONTENT
    assert names(cache) == ["datasets/book.txt"]


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_archives_are_unpacked(tmp_path, cache, kind):
    origin = served(tmp_path, kind, [("a.txt", b"A"), ("deep/b.txt", b"B")])
    folder = get_file(origin=origin, cache_dir=cache, extract=True)
    assert folder == str(cache / "datasets" / f"served.{kind}")
    assert names(Path(folder)) == ["a.txt", "deep/b.txt"]
    assert (Path(folder) / "deep" / "b.txt").read_bytes() == b"B"
    assert names(cache) == [f"datasets/served.{kind}/{name}" for name in ("a.txt", "deep/b.txt")] + [
        f"datasets/served.{kind}_archive"
    ]
    assert get_file("books", origin, cache_dir=cache, extract=True) == str(cache / "datasets" / "books")
    assert get_file("c.d", origin, cache_dir=cache, extract=True) == str(cache / "datasets" / "c_extracted")
    assert (cache / "datasets" / "c.d").is_file()
    assert names(cache / "datasets" / "c_extracted") == ["a.txt", "deep/b.txt"]


def test_a_new_archive_replaces_what_the_old_one_held(tmp_path, cache):
    folder = Path(get_file("x", served(tmp_path, "zip", [("old.txt", b"1")]), cache_dir=cache, extract=True))
    origin = served(tmp_path, "zip", [("new.txt", b"2")])
    get_file("x", origin, cache_dir=cache, extract=True)
    assert names(folder) == ["old.txt"]
    get_file("x", origin, cache_dir=cache, extract=True, force_download=True)
    assert names(folder) == ["new.txt"]


@pytest.mark.parametrize("options", [{"archive_format": "zip"}, {"archive_format": None}, {"archive_format": []}])
def test_an_archive_of_another_kind(tmp_path, cache, options):
    origin = served(tmp_path, "tar.gz", [("a.txt", b"A")])
    with pytest.warns(UserWarning, match="could not be extracted"):
        folder = get_file(origin=origin, cache_dir=cache, extract=True, **options)
    assert not Path(folder).exists()


def test_untar(tmp_path, cache):
    folder = get_file("t", served(tmp_path, "tar.gz", [("a.txt", b"A")]), untar=True, cache_dir=cache)
    assert names(Path(folder)) == ["a.txt"]
    with pytest.warns(UserWarning, match="could not be extracted"):
        get_file("z", served(tmp_path, "zip", [("a.txt", b"A")]), untar=True, cache_dir=cache)


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_members_that_lead_elsewhere_are_left_out(tmp_path, cache, kind):
    origin = served(tmp_path, kind, [("../../escaped.txt", b"E"), ("in.txt", b"I")])
    with pytest.warns(UserWarning, match=r"'\.\./\.\./escaped\.txt' would be written elsewhere"):
        folder = get_file("x", origin, cache_dir=cache, extract=True)
    assert names(Path(folder)) == ["in.txt"]
    assert not list(tmp_path.rglob("escaped.txt"))


def test_links_that_lead_elsewhere_are_left_out(tmp_path, cache):
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind, target in (
            ("away", tarfile.SYMTYPE, "../../.."),
            ("secret", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard", tarfile.LNKTYPE, "../../../served"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
        member = tarfile.TarInfo("kept.txt")
        member.size, member.mode = 1, 0o4777
        archive.addfile(member, io.BytesIO(b"K"))
    with pytest.warns(UserWarning, match="would be written elsewhere") as told:
        folder = Path(get_file("x", path.as_uri(), cache_dir=cache, extract=True))
    assert len(told) == 3
    assert [entry.name for entry in folder.iterdir()] == ["kept.txt"]
    assert (folder / "kept.txt").stat().st_mode & 0o7022 == 0  # neither set-uid nor writable by others


def test_a_broken_archive_leaves_no_folder(tmp_path, cache):
    origin = served(tmp_path, "tar.gz", [("a.bin", bytes(range(256)) * 4000)])
    path = tmp_path / "served.tar.gz"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises((EOFError, tarfile.TarError)):
        get_file("x", origin, cache_dir=cache, extract=True)
    assert names(cache) == ["datasets/x_archive"]
    assert not (cache / "datasets" / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({}, ValueError, "needs origin"),
        ({"origin": "https://example.org/"}, ValueError, "names no file; give fname="),
        ({"fname": "a/b.txt", "origin": "https://example.org/b"}, ValueError, "fname is a name, not a path"),
    ],
)
def test_what_cannot_be_downloaded(arguments, kind, said):
    with pytest.raises(kind, match=said):
        get_file(**arguments)


def test_an_unknown_kind_of_archive(tmp_path, cache):
    with pytest.raises(NotImplementedError, match="got 'rar'"):
        get_file("x", served(tmp_path, "zip", []), cache_dir=cache, extract=True, archive_format="rar")
