"""The XML format: what it keeps, what it refuses, and what it makes of documents of others."""

from __future__ import annotations

import io
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from library.infrastructure.data import FormatError, ImportLimits, TransferLimitError
from library.infrastructure.data.formats.record_format import Fault, Found, ReadOptions, WriteOptions
from library.infrastructure.data.formats.record_kind import EXCHANGES, SESSIONS, Field, FieldType, RecordKind
from library.infrastructure.data.formats.source import Source
from library.infrastructure.data.formats.xml_document import XmlReader, XmlWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from library.infrastructure.data.formats.record_kind import Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = -62_135_596_800_000_000
LAST = 253_402_300_799_999_999

ALL_CONTROLS = "".join(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)]))
TEXTS = [
    "",
    " ",
    "\n",
    " \t two \r\n lines \r ",
    "]]>",
    "<![CDATA[ & ]]>",
    "&amp; &lt; &#0; &#13;",
    "\0",
    ALL_CONTROLS,
    "\ufffe\uffff\ufeff\ufffd",
    "\u2028\u2029\x85",
    "\U0001f600\U0001fffe\U0010ffff",
    '"\\u0000"',
    "null",
]
texts = st.one_of(
    st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=("Cs",))), st.text(" \n\r\t\0<&]>\"'\\")
)
metadata = st.dictionaries(texts, st.one_of(st.integers(), texts, st.none()), max_size=3).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.TEXT: texts,
    FieldType.INTEGER: st.integers(-(2**63), 2**63 - 1),
    FieldType.NUMBER: st.floats(allow_nan=False, allow_infinity=False),
    FieldType.MOMENT: st.one_of(st.sampled_from([FIRST, LAST, 0, -1]), st.integers(FIRST, LAST)),
    FieldType.FLAG: st.booleans(),
    FieldType.JSON: metadata,
}
EXCHANGE = (7, "a", 0, "hello", "hi", 0.1, None, "{}")


def rows_of(kind: RecordKind) -> st.SearchStrategy[list[Row]]:
    """Rows of any values."""
    values = [
        st.one_of(st.none(), VALUES[field.type]) if field.is_optional else VALUES[field.type]
        for field in kind.fields
    ]
    return st.lists(st.tuples(*values), max_size=5)


def written(
    kind: RecordKind, *pages: Sequence[Row], fields: Sequence[Field] | None = None, whole: bool = True
) -> bytes:
    file = io.BytesIO()
    writer = XmlWriter(file, kind, fields or kind.fields, WriteOptions())
    writer.begin()
    for page in pages:
        writer.write(page)
    if whole:
        writer.finish()
    return file.getvalue()


def found_in(document: bytes | str, kind: RecordKind = EXCHANGES, **limits: int) -> list[Found]:
    data = document if isinstance(document, bytes) else document.encode()
    with (
        closing(Source(io.BytesIO(data), ImportLimits(**limits))) as source,
        closing(XmlReader(source, kind, ReadOptions())) as reader,
    ):
        return list(reader)


def records(document: bytes | str, kind: RecordKind = EXCHANGES) -> list[Any]:
    return [record for _, record in found_in(document, kind)]


def the_fault(document: str) -> str:
    """The reason of the only record that cannot be read."""
    (reason,) = (record.reason for record in records(document) if isinstance(record, Fault))
    return str(reason)


def parsed(field: Field, value: str | None) -> Any:
    """What a text stands for, without anything of the library."""
    if value is None or field.type in {FieldType.TEXT, FieldType.JSON}:
        return value
    if field.type is FieldType.MOMENT:
        return (datetime.fromisoformat(value) - EPOCH) // timedelta(microseconds=1)
    if field.type is FieldType.FLAG:
        return {"true": True, "false": False}[value]
    return {FieldType.INTEGER: int, FieldType.NUMBER: float}[field.type](value)


def read_back(document: bytes, kind: RecordKind) -> list[Row]:
    return [
        tuple(parsed(field, record[field.name]) for field in kind.fields)
        for record in records(document, kind)
    ]


@pytest.mark.parametrize("kind", [EXCHANGES, SESSIONS], ids=lambda kind: kind.name)
@given(data=st.data())
def test_every_value_is_read_back_as_it_was(kind: RecordKind, data: st.DataObject):
    """Whatever texts, numbers, moments and metadata hold, a document gives it back."""
    rows = data.draw(rows_of(kind))
    assert rows == read_back(written(kind, rows), kind)


def test_every_character_is_read_back_as_it_was():
    """All characters of Unicode pass, each in a record of its own and all in one."""
    characters = [chr(code) for code in range(0x3000)] + [chr(code) for code in range(0xFF00, 0x10400)]
    rows = [(number, *EXCHANGE[1:3], text, *EXCHANGE[4:]) for number, text in enumerate(characters)]
    rows.append((0, *EXCHANGE[1:3], "".join(characters), *EXCHANGE[4:]))
    assert rows == read_back(written(EXCHANGES, rows), EXCHANGES)


@pytest.mark.parametrize("part", ["a\r\n<", "日本\u2028", "\0\x1b\ufffe", "\U0001f600]]>"])
@pytest.mark.parametrize("length", [200_000, 1_500_000])
def test_long_texts_are_read_back_as_they_were(part: str, length: int):
    """A text may be longer than what is read, parsed or written in one piece."""
    text = part * (length // len(part))
    rows = [EXCHANGE, (*EXCHANGE[:3], text, text[1:], *EXCHANGE[5:]), EXCHANGE]
    assert rows == read_back(written(EXCHANGES, rows), EXCHANGES)


def test_pages_of_any_size_follow_each_other():
    """Where one page ends and the next begins makes no difference."""
    rows = [(number, *EXCHANGE[1:]) for number in range(1_000)]
    whole = written(EXCHANGES, rows)
    assert whole == written(EXCHANGES, rows[:1], [], rows[1:130], rows[130:])
    assert list(range(1, 1_001)) == [place for place, _ in found_in(whole)]


def test_no_records_are_a_document_too():
    """A document without records is read as such."""
    assert [] == records(written(EXCHANGES))
    assert [] == records("<data><conversations/></data>")


def test_only_the_fields_that_are_asked_for_are_written():
    """Fields stand in the order in which they are asked for."""
    fields = [Field("metadata", FieldType.JSON), Field("parent_id", FieldType.INTEGER, is_optional=True)]
    document = written(EXCHANGES, [('{"a":1}', None), ("{}", 3)], fields=fields)
    expected = [{"metadata": '{"a":1}', "parent_id": None}, {"metadata": "{}", "parent_id": "3"}]
    assert expected == records(document)


def test_a_document_looks_as_described():
    """Declaration, root and a line for each record."""
    assert (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<conversations version="1">\n'
        b"<exchange><message_id>7</message_id><conversation_id>a</conversation_id>"
        b"<timestamp>1970-01-01T00:00:00.000000+00:00</timestamp><user_input>1 &lt; 2&#13;</user_input>"
        b'<agent_response encoding="json">"\\u0000&lt;"</agent_response>'
        b"<response_time_ms>0.1</response_time_ms>"
        b'<parent_id null="true"></parent_id><metadata>{}</metadata></exchange>\n'
        b"</conversations>\n"
    ) == written(EXCHANGES, [(7, "a", 0, "1 < 2\r", "\0<", 0.1, None, "{}")])


@given(texts.filter(lambda text: all(char not in text for char in ("\ufffe", "\uffff"))))
@example(" \r\n\t]]>\u2028")
def test_other_parsers_read_plain_texts_and_json(text: str):
    """The parser of the standard library reads each document; what it cannot hold is said to be JSON."""
    element = ET.fromstring(written(EXCHANGES, [(*EXCHANGE[:3], text, *EXCHANGE[4:])])).find(
        "exchange/user_input"
    )
    assert element is not None
    content = element.text or ""
    assert text == (json.loads(content) if element.get("encoding") == "json" else content)
    assert (element.get("encoding") == "json") == any(char < " " and char not in "\t\n\r" for char in text)


# ------------------------------------------------------------------------------ documents of others


def test_records_are_found_below_elements_of_any_name():
    """Elements around the records need no certain names, and nor do the records."""
    document = (
        "<data><x><conversations>\n <turn><user_input>a</user_input> </turn></conversations></x></data>"
    )
    assert [{"user_input": "a"}] == records(document)


def test_attributes_of_a_record_are_values():
    """A value may stand in an attribute; what is meant for parsers is none."""
    document = (
        '<data xmlns="urn:x"><exchange xml:lang="en" xmlns:y="urn:y" conversation_id="c"><user_input>a'
        '</user_input></exchange><exchange conversation_id="d" user_input="b"/></data>'
    )
    expected = [{"conversation_id": "c", "user_input": "a"}, {"conversation_id": "d", "user_input": "b"}]
    assert expected == records(document)


def test_names_are_given_without_prefixes():
    """Namespaces make no difference, declared or not."""
    document = (
        '<n:data xmlns:n="urn:n"><n:exchange n:conversation_id="c"><m:user_input>a</m:user_input>'
        "</n:exchange></n:data>"
    )
    assert [{"conversation_id": "c", "user_input": "a"}] == records(document)


def test_a_record_may_be_the_root():
    """A document that consists of one record is read."""
    assert [{"user_input": "a"}] == records("<exchange><user_input>a</user_input></exchange>")


def test_comments_and_cdata_are_understood():
    """Sections and references are text; comments and instructions are not."""
    document = "<d><r><!-- no --><a>1<!-- no --><![CDATA[<2&>]]>&#51;&lt;</a><?no no?></r></d>"
    assert [{"a": "1<2&>3<"}] == records(document)


@pytest.mark.parametrize("nothing", ['null="true"', 'null="1"', 'xsi:nil="true"'])
def test_nothing_may_be_said_in_two_ways(nothing: str):
    """`null` and `xsi:nil` stand for a value that is not there."""
    assert [{"a": None}] == records(f"<d><r><a {nothing}> </a></r></d>")


@pytest.mark.parametrize("declared", ["UTF-16", "iso-8859-1", "no-such-encoding"])
def test_the_declared_encoding_is_passed_over(declared: str):
    """What arrives here is UTF-8, whatever it was in the file."""
    document = f'<?xml version="1.0" encoding="{declared}"?><d><r><a>é😀</a></r></d>'
    assert [{"a": "é😀"}] == records(document)


def test_documents_in_utf_16_are_read():
    """A document that really is in UTF-16, and says so, is read as well."""
    document = '<?xml version="1.0" encoding="UTF-16"?><d><r><a>é😀</a></r></d>'
    assert [{"a": "é😀"}] == records(document.encode("utf-16"))


# ------------------------------------------------------------------------- records that cannot be read


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("<d><r><a>1</a><a>2</a></r></d>", "<a> is given twice"),
        ('<d><r a="1"><a>2</a></r></d>', "a is given twice"),
        ('<d><r n:a="1" m:a="2"><b>2</b></r></d>', "a is given twice"),
        ("<d><exchange><a><b>1</b></a></exchange></d>", "<a> holds elements where only text can stand"),
        (
            "<d><exchange><a><b><c><e>1</e></c></b></a><a>2</a></exchange></d>",
            "<a> holds elements where only text can stand",
        ),
        ("<d><r>text<a>1</a></r></d>", "<r> holds text beside elements"),
        ("<d><r><a>1</a>text</r></d>", "<r> holds text beside elements"),
        ("<d>text<r><a>1</a></r></d>", "<d> holds text beside elements"),
        ("<d><r>text</r></d>", "<r> holds text where a record was expected"),
        ("<d>text</d>", "<d> holds text where a record was expected"),
        ("<d><x><r><a>1</a></r><b>2</b></x></d>", "it holds both records and fields of its own"),
        ("<d><x><b>2</b><r><a>1</a></r></x></d>", "it holds both records and fields of its own"),
        ('<d><r><a null="true">1</a></r></d>', "<a> is said to be null, but holds text"),
        ('<d><r><a encoding="base64">1</a></r></d>', "<a> is in an encoding that is not known: 'base64'"),
        ('<d><r><a encoding="json">1</a></r></d>', "<a> is said to hold a JSON string, but does not"),
        ('<d><r><a encoding="json">"</a></r></d>', "<a> is said to hold a JSON string, but does not"),
        (
            '<d><r><a encoding="json">"\\ud800"</a></r></d>',
            "<a> holds half a surrogate pair, which is no character",
        ),
    ],
)
def test_what_would_be_lost_is_a_fault(document: str, reason: str):
    """A record of which a part would be lost is not read, and it is said why."""
    assert reason == the_fault(document)


def test_reading_goes_on_behind_a_fault():
    """Records behind one that cannot be read are given, each with its number."""
    document = "<d><r><a>1</a></r><r><a>2</a><a>3</a></r><r/><r><a>4</a></r></d>"
    expected = [(1, {"a": "1"}), (2, Fault("<a> is given twice")), (3, {}), (4, {"a": "4"})]
    assert expected == found_in(document)


# -------------------------------------------------------------------------------- damage, attacks, limits

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><d><r><a>&c;</a></r></d>'
)


@pytest.mark.parametrize(
    "document",
    [
        BOMB,
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><d><r><a>&x;</a></r></d>',
        '<!DOCTYPE d SYSTEM "http://localhost/evil.dtd"><d><r><a>1</a></r></d>',
        "<!DOCTYPE d><d><r><a>1</a></r></d>",
    ],
)
def test_documents_with_a_doctype_are_refused(document: str):
    """No entity can be declared, so that none can be used for an attack."""
    with pytest.raises(FormatError) as caught:
        records(document)
    assert "has a DOCTYPE: such documents are refused" in str(caught.value)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("<d><r><a>&x;</a></r></d>", "undefined entity: line 1, column 9"),
        ("<d>\n<r></x></d>", "mismatched tag: line 2, column 5"),
        ("<d><r><a>\0</a></r></d>", "not well-formed (invalid token): line 1, column 9"),
        ("<d/><d/>", "junk after document element: line 1, column 4"),
        ("", "it ends too early (no element found: line 1, column 0)"),
        ("<d><r>", "it ends too early (no element found: line 1, column 6)"),
        ("hello <", "syntax error: line 1, column 0"),
    ],
)
def test_what_is_not_well_formed_is_refused(document: str, text: str):
    """The error tells line and column."""
    with pytest.raises(FormatError) as caught:
        records(document)
    assert f"a stream is no well-formed XML: {text}" == str(caught.value)
    assert "a stream" == caught.value.path


def test_bytes_that_are_no_utf_8_are_refused():
    """Text in another encoding that does not say so is no text."""
    with pytest.raises(FormatError):
        records(b"<d><r><a>\xff\xfe\xe9</a></r></d>")


def test_records_before_the_damage_are_given():
    """Reading ends at the damage, and not before."""
    data = io.BytesIO(b"<d><r><a>1</a></r><r><a>2</a></r><r></d>")
    with closing(Source(data, ImportLimits())) as source:
        reader = iter(XmlReader(source, EXCHANGES, ReadOptions()))
        assert [(1, {"a": "1"}), (2, {"a": "2"})] == [next(reader), next(reader)]
        with pytest.raises(FormatError):
            next(reader)


def test_a_document_that_was_cut_is_refused():
    """Wherever a document ends too early, that is an error, and never a document with fewer records."""
    row = (1, "c", 0, "a\r\n<é😀>", "\0\ufffe", 0.5, None, '{"k": 1}')
    document = written(EXCHANGES, [row, row])
    for end in range(len(document) - 1):
        with pytest.raises(FormatError):
            records(document[:end])
    assert 2 == len(records(document[:-1]))


class Endless(io.RawIOBase):
    """A gigabyte of text in one element, made while it is read."""

    def __init__(self, before: bytes) -> None:
        self._waiting = before
        self.given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data, self._waiting = self._waiting, b""
        if not data and self.given < 1 << 30:
            data = b"x" * min(size, 1 << 20)
        self.given += len(data)
        return data


@pytest.mark.parametrize(
    ("before", "limit", "most"),
    [
        (b"<d><r><a>", "max_field_characters", 18 << 20),
        (b'<d><r><a encoding="json">"', "max_record_bytes", 66 << 20),
        (b"<d><r a='", "max_field_characters", 18 << 20),
        (b"<d><!--", "max_field_characters", 18 << 20),
        (b"<d><", "max_field_characters", 18 << 20),
    ],
)
def test_a_gigabyte_in_one_piece_is_not_read(before: bytes, limit: str, most: int):
    """What is too long for a value or a record ends the import, with no more read than the limit allows."""
    file = Endless(before)
    with closing(Source(file, ImportLimits())) as source:
        with pytest.raises(TransferLimitError) as caught:
            list(XmlReader(source, EXCHANGES, ReadOptions()))
    assert limit == caught.value.limit
    assert file.given < most


@pytest.mark.parametrize(
    ("document", "limit"),
    [
        ("<d><r><a>12345678901</a></r></d>", "max_field_characters"),
        ("<d><r a='12345678901'/></d>", "max_field_characters"),
        ('<d><r><a encoding="json">"12345678901"</a></r></d>', "max_field_characters"),
        (f"<d><r>{'<b>1234567890</b>' * 9}</r></d>", "max_record_bytes"),
        ("<d><r><a><b><c/></b></a></r></d>", "max_depth"),
    ],
)
def test_limits_hold(document: str, limit: str):
    """Each limit ends the import with an error that names it."""
    with pytest.raises(TransferLimitError) as caught:
        found_in(document, max_field_characters=10, max_record_bytes=100, max_depth=4)
    assert limit == caught.value.limit
    assert "record 1 of a stream" in str(caught.value)


def test_what_is_within_the_limits_is_read():
    """A value may be as long, and elements nested as deep, as the limits say."""
    document = '<d><x><r><a>1234567890</a><b encoding="json">"\\u0000234567890"</b></r></x></d>'
    found = found_in(document, max_field_characters=10, max_record_bytes=100, max_depth=4)
    assert [(1, {"a": "1234567890", "b": "\0" + "234567890"})] == found


def test_names_without_end_are_refused():
    """A document that has ever new names is no file of records, and would fill the memory."""
    document = f"<d>{''.join(f'<r><a{number}/></r>' for number in range(20_000))}</d>"
    with pytest.raises(FormatError) as caught:
        records(document)
    assert "more than 10,000 different names" in str(caught.value)
