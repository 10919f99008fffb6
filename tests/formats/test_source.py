"""Sources: whatever a file is packed in and encoded as, its content is read, or an error says why not."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from library.infrastructure.data.errors import (
    FormatError,
    InvalidOptionError,
    StorageError,
    TransferLimitError,
)
from library.infrastructure.data.formats.source import Source
from library.infrastructure.data.formats.unpacking import zstd
from library.infrastructure.data.import_limits import ImportLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMITS = ImportLimits()
TEXT = '[{"text": "Grüße 你好 😀\\u2028\r\n\ufeff"}]'
CONTENT = TEXT.encode()

Opener = "Callable[..., Source]"


def zipped(**members: bytes) -> bytes:
    """Pack members, in whose names `_json` stands for `.json`, and `__` for a slash."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_json", ".json"), content)
    return packed.getvalue()


class Pipe(io.RawIOBase):
    """A stream that gives few bytes at a time, and cannot go back."""

    def __init__(self, content: bytes, step: int = 1000) -> None:
        super().__init__()
        self._inner = io.BytesIO(content)
        self._step = step

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(min(size, self._step) if size >= 0 else self._step)


@pytest.fixture(params=["file", "stream"])
def open_source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Make a source of some bytes: of a file, and of a stream; afterwards all is closed and removed."""
    made: list[Source] = []

    def make(content: bytes, limits: ImportLimits = LIMITS, encoding: str | None = None) -> Source:
        file: str | BinaryIO = Pipe(content)  # type: ignore[assignment]
        if request.param == "file":
            path = tmp_path / "chats.json"
            path.write_bytes(content)
            file = str(path)
        made.append(Source(file, limits, encoding=encoding))
        return made[-1]

    yield make
    for source in made:
        source.close()
        assert not source._copies


def read(source: Source) -> bytes:
    with source.open_bytes() as content:
        return content.read()


PACKED = {
    "plain": CONTENT,
    "BOM": b"\xef\xbb\xbf" + CONTENT,
    "gzip": gzip.compress(CONTENT),
    "gzip, two members": gzip.compress(CONTENT[:9]) + gzip.compress(CONTENT[9:]),
    "gzip, empty members": gzip.compress(b"") + gzip.compress(CONTENT) + gzip.compress(b""),
    "gzip, padded": gzip.compress(CONTENT) + bytes(1000),
    "gzip, BOM": gzip.compress(b"\xef\xbb\xbf" + CONTENT),
    "gzip, UTF-16": gzip.compress(TEXT.encode("utf-16")),
    "Zstandard": zstd.compress(CONTENT),
    "Zstandard, two frames": zstd.compress(CONTENT[:9]) + zstd.compress(CONTENT[9:]),
    "Zstandard, skippable frame": b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + zstd.compress(CONTENT),
    "zip": zipped(conversations_json=CONTENT),
    "zip, others": zipped(user_json=b"{}", export__conversations_json=CONTENT, chat_html=b"<html>"),
    "zip, alone": zipped(a_jsonl=CONTENT),
    "zip, folders": zipped(a__=b"", a__b__a_jsonl=CONTENT),
    "UTF-16 LE": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "UTF-16 BE": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "UTF-16 LE without mark": TEXT.encode("utf-16-le"),
    "UTF-16 BE without mark": TEXT.encode("utf-16-be"),
}


@pytest.mark.parametrize("name", PACKED)
def test_content_is_unpacked_and_decoded(name: str, open_source: Opener) -> None:
    """The content is the same, however it is packed and encoded, from files and from streams."""
    source = open_source(PACKED[name])

    assert CONTENT == read(source)


@pytest.mark.parametrize("name", PACKED)
def test_the_head_is_read_once_more(name: str, open_source: Opener) -> None:
    """Looking at the beginning, as often as one likes, takes nothing away."""
    source = open_source(PACKED[name])

    assert CONTENT[:5] == source.head(5)
    assert CONTENT == source.head()
    assert CONTENT[:2] == source.head(2)
    assert CONTENT == read(source)


@pytest.mark.parametrize("name", PACKED)
def test_a_local_file_has_the_unpacked_content(name: str, open_source: Opener) -> None:
    """For readers that jump about there is a file, which is gone after `close` unless it was there before."""
    source = open_source(PACKED[name])
    source.head(3)

    path = Path(source.local_path())

    assert CONTENT == path.read_bytes() or path.name == "chats.json"
    assert str(path) == source.local_path()
    source.close()
    assert path.exists() == (path.name == "chats.json")


def test_text_keeps_its_line_ends(open_source: Opener) -> None:
    """Opened as text, all line ends are as they are in the file."""
    text = "a\rb\r\nc\n\u2028d\x85\x00"
    with open_source(text.encode("utf-16")).open_text() as opened:
        assert text == opened.read()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "UTF8", "utf-8-sig", "utf-16", "utf-16-le", "utf_16_be", "utf-32"]
)
def test_an_encoding_can_be_told(encoding: str, open_source: Opener) -> None:
    """Any encoding that Python knows can be read, with or without a byte order mark."""
    for text in (TEXT, "\ufeff" + TEXT) if encoding != "utf-8-sig" else (TEXT,):
        source = open_source(text.encode(encoding), encoding=encoding)
        assert CONTENT == read(source)


@given(text=st.text(), step=st.integers(1, 9), encoding=st.sampled_from(["utf-16", "utf-32-be", "gb18030"]))
def test_encoded_text_is_read_exactly(text: str, step: int, encoding: str) -> None:
    """Every text comes out as it went in, in whatever pieces it arrives."""
    text = "[" + text
    source = Source(Pipe(text.encode(encoding), step), LIMITS, encoding=encoding)  # type: ignore[arg-type]

    assert text.encode() == read(source)


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "", "a\0b"])
def test_what_is_no_encoding_is_refused(encoding: str) -> None:
    """An unknown encoding is an error at once."""
    with pytest.raises(InvalidOptionError, match="encoding must be one that Python knows") as caught:
        Source("a", LIMITS, encoding=encoding)

    assert "encoding" == caught.value.option


@pytest.mark.parametrize("content", [b"PAR1\xff\xfe\x00\x01", b"SQLite format 3\0\xff\xfe"])
@pytest.mark.parametrize("encoding", [None, "utf-16"])
def test_binary_formats_are_left_alone(content: bytes, encoding: str | None, open_source: Opener) -> None:
    """Parquet and SQLite files are no text: they are passed on byte by byte, packed or not."""
    for packed in (content, gzip.compress(content), zipped(**{"a.db": content})):
        assert content == read(open_source(packed, encoding=encoding))
        assert content == Path(open_source(packed, encoding=encoding).local_path()).read_bytes() or packed


@pytest.mark.parametrize(
    "content", [b"", b"\xef\xbb\xbf", gzip.compress(b""), zstd.compress(b""), b"\xff\xfe"]
)
def test_empty_content_is_empty(content: bytes, open_source: Opener) -> None:
    """An empty file is no error here: each format decides what it means."""
    source = open_source(content)

    assert b"" == source.head()
    assert b"" == read(source)


def incompressible(size: int) -> bytes:
    return os.urandom(size).hex().encode()


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, lambda content: zipped(a_json=content)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_what_is_cut_off_is_refused(
    pack: Callable[[bytes], bytes], share: float, open_source: Opener
) -> None:
    """A packed file that lacks its end, even its last byte, is an error, and never a shorter file."""
    packed = pack(incompressible(300_000))
    cut = min(len(packed) - 1, max(5, int(len(packed) * share)))
    source = open_source(packed[:cut])

    with pytest.raises(FormatError, match="cut off") as caught:
        read(source)

    assert caught.value.path == source.name
    assert source.name in str(caught.value)


@pytest.mark.parametrize("pack", [gzip.compress, lambda content: zstd.compress(content, options={201: 1})])
def test_cut_off_anywhere_is_cut_off(pack: Callable[[bytes], bytes]) -> None:
    """Whatever number of last bytes is missing, the file is refused."""
    packed = pack(CONTENT)
    for cut in range(4, len(packed)):
        with pytest.raises(FormatError):
            read(Source(io.BytesIO(packed[:cut]), LIMITS))


@pytest.mark.parametrize("pack", [gzip.compress, lambda content: zipped(a_json=content)])
def test_what_is_damaged_is_refused(pack: Callable[[bytes], bytes], open_source: Opener) -> None:
    """A byte that is changed in the middle is found out by the check sum at the latest."""
    packed = bytearray(pack(incompressible(1000)))
    packed[len(packed) // 2] ^= 0xFF

    with pytest.raises(FormatError, match="damaged"):
        read(open_source(bytes(packed)))


@pytest.mark.parametrize("behind", [b"x", b"\0\0x", b"\x1f\x8bxxxxxxxxxxxxx"])
def test_what_stands_behind_packed_content_is_refused(behind: bytes, open_source: Opener) -> None:
    """Anything but zeros behind the content of gzip means that the file is damaged."""
    with pytest.raises(FormatError, match="damaged"):
        read(open_source(gzip.compress(CONTENT) + behind))


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        zstd.compress,
        lambda content: zipped(a_json=content),
        lambda content: gzip.compress(content[: len(content) // 2]) * 2,
    ],
)
def test_what_unpacks_to_far_too_much_is_refused(pack: Callable[[bytes], bytes], open_source: Opener) -> None:
    """Beyond 16 MiB, what unpacks to more than `max_ratio` times its size is refused."""
    assert 16 << 20 == len(read(open_source(pack(bytes(16 << 20)))))

    with pytest.raises(TransferLimitError, match="unpacks to more than 200 times its size") as caught:
        read(open_source(pack(bytes(17 << 20))))

    assert "max_ratio" == caught.value.limit
    assert 17 << 20 == len(read(open_source(pack(bytes(17 << 20)), ImportLimits(max_ratio=100_000))))


@pytest.mark.parametrize("name", ["plain", "gzip", "Zstandard", "zip"])
def test_content_may_have_so_many_bytes(name: str, open_source: Opener) -> None:
    """Content of `max_bytes` is read; one more is refused, wherever it is read."""
    assert CONTENT == read(
        open_source(PACKED[name], ImportLimits(max_bytes=max(len(CONTENT), len(PACKED[name]))))
    )
    limits = ImportLimits(max_bytes=len(CONTENT) - 1)
    for use in (Source.head, read, Source.local_path):
        with pytest.raises(TransferLimitError, match="holds more than") as caught:
            use(open_source(PACKED[name], limits))
        assert "max_bytes" == caught.value.limit


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped(a_json=b"{}", b_json=b"{}"), "holds a.json, b.json: unpack it"),
        (zipped(), "holds nothing"),
        (
            zipped(x__conversations_json=b"", y__conversations_json=b""),
            "x/conversations.json, y/conversations",
        ),
        (zipped(**{f"a{number}": b"" for number in range(20)}), "a8, a9, ...: unpack it"),
        (b"PK\x03\x04 and so on", "damaged or cut off"),
    ],
)
def test_a_zip_file_must_tell_what_is_meant(content: bytes, reason: str, open_source: Opener) -> None:
    """Where a zip file holds several files or none, the error names them."""
    with pytest.raises(FormatError) as caught:
        open_source(content).head()

    assert reason in str(caught.value)


def test_what_macos_adds_to_a_zip_file_is_passed_over(open_source: Opener) -> None:
    """The copies of file attributes that macOS packs beside each file are no members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jsonl", CONTENT)
        archive.writestr("__MACOSX/._a.jsonl", b"attributes")

    assert CONTENT == read(open_source(packed.getvalue()))


def test_a_zip_file_that_lacks_its_beginning_is_refused(open_source: Opener) -> None:
    """Where the members would begin before the file does, the file is damaged."""
    whole = zipped(**{"a.json": incompressible(5000)})
    cut = whole[:4] + whole[3000:]

    with pytest.raises(FormatError, match="damaged or cut off"):
        read(open_source(cut))


def test_encrypted_zip_members_are_refused(open_source: Opener) -> None:
    """What needs a password cannot be read."""
    content = bytearray(zipped(a_json=b"{}"))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1

    with pytest.raises(FormatError, match="is encrypted: unpack it"):
        open_source(bytes(content)).head()


def test_zip_methods_that_are_not_known_are_refused(open_source: Opener) -> None:
    """What is packed by rare methods cannot be read."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.json", b"{}")

    with pytest.raises(FormatError, match="packed in a way that is not known here"):
        open_source(packed.getvalue()).head()


@pytest.mark.parametrize(
    ("content", "encoding"),
    [(b"\xff\xfe[\0\x00\xd8[\0", None), (b"\xff\xfe[\0[", None), (b"[\x81]", "cp1252"), (b"[\xff]", "ascii")],
)
def test_what_is_not_in_the_encoding_is_refused(
    content: bytes, encoding: str | None, open_source: Opener
) -> None:
    """A text that is in no way in its encoding is an error, not a text with replacements."""
    with pytest.raises(FormatError, match="tell its encoding"):
        read(open_source(content, encoding=encoding))


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(StorageError, match="there is no such file") as caught:
        Source(str(tmp_path / "no.json"), LIMITS).head()

    assert str(tmp_path / "no.json") in str(caught.value)


def test_a_folder_is_explained(tmp_path: Path) -> None:
    """A folder cannot be read."""
    with pytest.raises(StorageError, match="it is a folder"):
        Source(str(tmp_path), LIMITS).open_bytes()


@pytest.mark.parametrize("name", ["plain", "gzip", "zip", "UTF-16 BE"])
@pytest.mark.parametrize("is_linked", [False, True])
def test_a_named_pipe_is_read_as_a_stream(name: str, is_linked: bool, tmp_path: Path) -> None:
    """Once, from its beginning to its end, also for readers that need a file; what was opened is closed."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = pipe
    if is_linked:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    source = Source(str(path), LIMITS)
    feeding = threading.Thread(target=pipe.write_bytes, args=(PACKED[name],))
    feeding.start()

    source.head(4)
    found = Path(source.local_path()).read_bytes()
    feeding.join()

    assert CONTENT == found
    assert (str(path), "import", None) == (source.name, source.stem, source.size)
    source.close()


def test_an_open_descriptor_has_a_path() -> None:
    """It leads to a pipe without a name, as a shell passes it for `<(command)`."""
    reading, writing = os.pipe()
    os.write(writing, CONTENT)
    os.close(writing)
    source = Source(f"/dev/fd/{reading}", LIMITS)

    assert CONTENT == read(source)
    with pytest.raises(StorageError, match="can be read once only"):
        source.open_bytes()
    source.close()
    os.close(reading)


def test_a_deleted_file_that_is_open_has_a_path() -> None:
    """As shells pass texts (`<<EOF`) on."""
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.flush()
        source = Source(f"/dev/fd/{file.fileno()}", LIMITS)

        assert CONTENT == read(source)
        source.close()


def test_a_device_is_read_as_a_stream() -> None:
    """One that holds nothing is empty."""
    with closing(Source("/dev/null", LIMITS)) as source:
        assert b"" == source.head()


def test_what_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Where a file stood first, a pipe is refused."""
    path = tmp_path / "a.json"
    path.touch()
    source = Source(str(path), LIMITS)
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(StorageError, match="not a regular file any more"):
        source.head()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_explained(tmp_path: Path) -> None:
    """A file that may not be read is an error that says so."""
    (tmp_path / "a.json").touch(0)
    with pytest.raises(StorageError, match="check the permissions"):
        Source(str(tmp_path / "a.json"), LIMITS).head()


def test_a_path_that_cannot_be_one_is_refused() -> None:
    """A NUL cannot be part of a path."""
    with pytest.raises(InvalidOptionError):
        Source("a\0b", LIMITS)


def test_a_stream_of_text_is_refused() -> None:
    """A stream that gives text was opened wrongly."""
    with pytest.raises(InvalidOptionError, match="binary mode") as caught:
        Source(io.StringIO("[]"), LIMITS).head()  # type: ignore[arg-type]

    assert "input_file" == caught.value.option


def test_a_stream_is_read_once_and_left_open() -> None:
    """What a stream gave is gone; the stream itself stays open."""
    stream = io.BytesIO(CONTENT)
    source = Source(stream, LIMITS)
    read(source)

    with pytest.raises(StorageError, match="can be read once only"):
        source.open_bytes()
    source.close()
    assert not stream.closed


def test_a_file_can_be_opened_again(tmp_path: Path) -> None:
    """A file may be read as often as one likes."""
    (tmp_path / "a.json").write_bytes(gzip.compress(CONTENT))
    source = Source(str(tmp_path / "a.json"), LIMITS)

    assert CONTENT == read(source)
    assert CONTENT == read(source)
    source.close()


def test_progress_is_told(tmp_path: Path) -> None:
    """The position goes from nought to the size of the file as it is stored."""
    path = tmp_path / "a.json"
    for pack in (bytes, gzip.compress, zstd.compress, lambda content: zipped(a_json=content)):
        path.write_bytes(pack(incompressible(1_000_000)))
        source = Source(str(path), LIMITS)
        assert source.size == path.stat().st_size
        assert 0 == source.position
        with source.open_bytes() as content:
            content.read(700_000)
            assert 0 < source.position <= source.size
            before = source.position
            content.read()
            assert before < source.position
        source.close()


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.json", "a"),
        ("a.jsonl.gz", "a"),
        ("my.chats.2024.CSV.ZST", "my.chats.2024"),
        ("folder/a", "a"),
        ("a.zip", "a"),
        (".hidden", ".hidden"),
    ],
)
def test_the_stem_is_the_bare_name(name: str, stem: str) -> None:
    """The stem has neither the folder nor the suffixes of format and compression."""
    assert stem == Source(name, LIMITS).stem


def test_streams_have_names() -> None:
    """Streams are called so, unless they know their file; they have no size."""
    source = Source(io.BytesIO(), LIMITS)

    assert ("a stream", "import", None) == (source.name, source.stem, source.size)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.json", "a.json"),
        ("<stdin>", "standard input"),
        ("<fdopen>", "a stream"),
        (5, "a stream"),
        ("", "a stream"),
    ],
)
def test_streams_are_called_by_their_names(name: object, told: str) -> None:
    """What Python calls `<stdin>` is standard input; numbers are no names."""
    named = Pipe(b"")
    named.name = name  # type: ignore[attr-defined]

    assert told == Source(named, LIMITS).name  # type: ignore[arg-type]


def test_opened_content_is_closed_with_the_source(tmp_path: Path) -> None:
    """`close` closes what nobody else closed."""
    path = tmp_path / "a.json"
    path.write_bytes(zipped(a_json=CONTENT))
    source = Source(str(path), LIMITS)
    source.head(3)
    opened = [source.open_bytes(), source.open_text()]

    source.close()
    source.close()

    assert all(each.closed for each in opened)


@pytest.mark.parametrize("name", ["plain", "gzip", "zip", "UTF-16 BE"])
@pytest.mark.parametrize("file", ["sys.stdin.buffer", "'/dev/stdin'"])
def test_standard_input_is_read_from_a_pipe(name: str, file: str) -> None:
    """Standard input works where it is a pipe, also for readers that need a file."""
    program = (
        "import sys; from library.infrastructure.data.formats.source import Source;"
        "from library.infrastructure.data.import_limits import ImportLimits;"
        f"source = Source({file}, ImportLimits());"
        "source.head(4); sys.stdout.buffer.write(open(source.local_path(), 'rb').read()); source.close()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=PACKED[name], capture_output=True, check=True
    )

    assert CONTENT == done.stdout


@given(
    parts=st.lists(st.binary(max_size=50), max_size=4),
    steps=st.lists(st.integers(1, 60), min_size=1, max_size=9),
    pack=st.sampled_from([gzip.compress, zstd.compress]),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_pieces_give_the_same(
    parts: list[bytes], steps: list[int], pack: Callable[[bytes], bytes]
) -> None:
    """However the stream is cut up, and whatever is read at a time, the content is the same."""
    content = b"x" + b"".join(parts)
    packed = pack(b"x") + b"".join(map(pack, parts))
    opened = Source(Pipe(packed, steps[0]), LIMITS).open_bytes()  # type: ignore[arg-type]
    found = b""
    while data := opened.read(steps[len(found) % len(steps)]):
        found += data

    assert content == found
