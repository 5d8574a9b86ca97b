"""Instructions of Dockerfiles, compared with BuildKit's own parser; and the words of one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.docker.dockerfile import base_of
from imagekit.docker.parser import expanded, instructions, shell_words, unquoted

dockerfile = pytest.importorskip("dockerfile", reason="it has no wheel for this system")

LINES = (
    *("FROM a", "FROM\ta AS B", "# comment", "  # indented", "", "   ", "\\", "# escape=`"),
    *("# syntax=x/y:1", "# foo=bar", "RUN a `", "run lower", "Copy\va\fb"),
    *("RUN echo hi", "RUN  a \\", "  b \\", "RUN a \\\\", "RUN a \\  ", "RUN a \\ x", "RUN \\"),
    *("COPY a b", "COPY --from=x a b", 'COPY ["a b","c"]', 'COPY [ "a" , "b" ] x', "COPY []"),
    *('COPY ["a" "b"]', "ADD --chown=1:1 --link x /y", "COPY \\", "COPY --x", "VOLUME /a /b"),
    *("RUN --mount=type=bind,source=s,target=/t x", 'RUN --mount="type=bind,source=a b" x'),
    *("RUN --network=none --mount=type=cache,target=/x -- --foo", "RUN --a\\ b c", "RUN --a\\"),
    *('RUN --a="b c"d e', "RUN --a='b\\' c", 'VOLUME ["/a", "/b"]', "CMD [a]", 'CMD ["a"]'),
    *("RUN <<EOF", "EOF", "RUN <<-EOF cat", "\tEOF", "COPY <<A <<B /x", "A", "B", "RUN 3<<EOF x"),
    *('RUN cat <<"E F"', "E F", "RUN <<'Q'", "Q", "RUN a<<b", 'RUN echo "<<EOF"', "RUN <<- a"),
    *("RUN echo 'x <<EOF'", "RUN <<EOF 'x", "ARG X=1 Y=2", "ENV A b c", "LABEL a=b", "USER x"),
    *("ONBUILD RUN <<A", "ONBUILD COPY <<EOF x", "RUN <<E\\ F `", "E F", "ONBUILD", "ONBUILD x"),
    *("ONBUILD COPY a b", "HEALTHCHECK NONE", "WORKDIR /a b", "EXPOSE 80 90", "STOPSIGNAL 9"),
    *("RUN é 日本", "COPY é\u00a0b /c"),
)
PIECES = (
    *("COPY ", "RUN ", "ARG ", "FROM ", "ADD ", "CMD ", "a", "b", " ", "\t", "\\", "\n", "\r\n"),
    *('"', "'", "<<EOF", "\nEOF\n", "--x=", "#", "`", "[", "]", ",", "--", "=", "$X", "<", "-"),
    *("1", "\v"),
)
SPLIT = ("COPY", "ADD", "FROM", "VOLUME")
"""The instructions whose words that parser splits at white space."""
WHOLE = ("RUN", "CMD", "WORKDIR", "USER", "STOPSIGNAL")
"""Those of which it keeps the text."""

# Drawing takes longer than all else; the number is drawn, so that an example shrinks.
SEEDS = st.randoms(use_true_random=True)


@st.composite
def files(draw):
    random, number = draw(SEEDS), draw(st.integers(2, 10))
    lines = random.choices(LINES, k=number)
    text = random.choice(["\n", "\n", "\r\n"]).join(lines)
    return random.choice(["", "\ufeff"]) + text + random.choice(["", "\n"])


@st.composite
def scraps(draw):
    random, number = draw(SEEDS), draw(st.integers(1, 16))
    first = random.choice(["COPY ", "RUN ", "ADD ", "CMD "])
    return f"FROM a\n{first}{''.join(random.choices(PIECES, k=number))}"


def authority(text):
    """What BuildKit's parser finds; None if the file is not valid."""
    try:
        found = dockerfile.parse_string(text)
    except dockerfile.GoParseError:
        return None
    # A line with nothing but an escape character has no name.
    return [
        (
            *(one.cmd.upper(), one.start_line, one.end_line, one.flags, one.json),
            # It does not tell those of the instruction in an ONBUILD.
            *(tuple(doc.content for doc in one.heredocs), words_there(one)),
        )
        for one in found
        if one.cmd
    ]


def words_there(one):
    if one.json or one.cmd.upper() in SPLIT:
        return one.value
    return (*one.value, "")[0] if one.cmd.upper() in WHOLE else None


def ours(text):
    return [
        (
            *(one.name, one.line, one.end, one.flags, one.is_json),
            *(one.heredocs if one.name != "ONBUILD" else (), words_here(one)),
        )
        for one in instructions(text)
    ]


def words_here(one):
    if one.is_json or one.name in SPLIT:
        return one.words
    return one.rest if one.name in WHOLE else None


@pytest.mark.no_cover  # Each line has a test of its own.
@settings(max_examples=1000)
@given(files())
def test_a_file_has_the_instructions_that_buildkit_finds(text):
    expected = authority(text)
    assert expected is None or ours(text) == expected


@pytest.mark.no_cover  # Each line has a test of its own.
@settings(max_examples=1000)
@given(scraps())
def test_odd_words_are_read_as_buildkit_reads_them(text):
    expected = authority(text)
    assert expected is None or ours(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "RUN --a\\ b=1 --c='d e' f",
        "RUN --a=1 -- --b",
        "RUN <<EOF \"a b\" 'c'\nx\nEOF",
        "RUN a\\b '<<EOF'",
        "RUN \\'<<EOF x\nEOF",
        "\\\n\nRUN x",
        "RUN x\n\\",
    ],
)
def test_each_rule_of_buildkit_s_parser_is_followed(text):
    assert ours(f"FROM a\n{text}") == authority(f"FROM a\n{text}") is not None


def test_the_comparison_compares_something():
    text = '# escape=`\nFROM a\nRUN <<A `\n # c\n\n b\nx\nA\nCOPY --from=x ["a b"]'
    assert ours(text) == authority(text)
    assert len(ours(text)) == 3


def test_a_check_directive_may_come_before_the_escape_character():
    assert [one.words for one in instructions("# check=skip=all\n# escape=`\nCOPY a\\b `\n c")] == [
        ("a\\b", "c")
    ]


def test_a_heredoc_without_an_end_goes_to_the_end_of_the_file():
    (only,) = instructions("RUN <<EOF\nCOPY a b")
    assert (only.heredocs, only.end) == (("COPY a b",), 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("A='b c' \"d e\"f", ["A='b c'", '"d e"f']),
        ("a\\ b '\\' c", ["a\\ b", "'\\'", "c"]),
        ("'open x", ["'open x"]),
        ("", []),
    ],
)
def test_words_end_at_white_space_outside_quotes(text, words):
    assert shell_words(text) == words


VALUES = {"S": "*b?", "X": "1.2.3", "EMPTY": "", "P": "a/b/a.tar.gz"}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("a$X-b", "a1.2.3-b"),
        ("${X}${EMPTY}", "1.2.3"),
        ("'$X'\"$X\"", "$X1.2.3"),
        ('\\$X "\\$\\"\\a"', '$X $"\\a'),
        ("$", "$"),
        ("$-", "$-"),
        ("${NO:-y}${NO-z}${X:-w}${EMPTY:-v}${EMPTY-u}", "yz1.2.3v"),
        ("${NO:+y}${X:+z}${EMPTY:+w}${EMPTY+v}", "zv"),
        ("${NO:-${X}-'}'}", "1.2.3-}"),
        ("${X:?no}${X?no}", "1.2.31.2.3"),
        ("${X#*.}|${X##*.}|${X%.*}|${X%%.*}", "2.3|3|1.2|1"),
        (
            "${P#a/}|${P%.gz}|${P#x}|${P%x}|${P#\\a}",
            "b/a.tar.gz|a/b/a.tar|a/b/a.tar.gz|a/b/a.tar.gz|/b/a.tar.gz",
        ),
        ("${P/a/Z}|${P//a/Z}|${P/?.t*/}", "Z/b/a.tar.gz|Z/b/Z.tZr.gz|a/b/"),
        ("${P##?/}", "b/a.tar.gz"),
        ("${S#\\*}|${S#*}|${S%\\?}|${S/\\*/x}", "b?|*b?|*b|xb?"),
        ("'open", "open"),
        ('"open', "open"),
        ("end\\", "end"),
    ],
)
def test_variables_are_replaced_as_in_a_shell(word, text):
    assert expanded(word, VALUES) == text


@pytest.mark.parametrize(
    "word", ["$NO", "${NO}", "${NO:?}", "${X", "${", "${X^}", "${X//a}", "${NO#a}", "${1"]
)
def test_what_only_the_build_knows_is_not_known(word):
    assert expanded(word, VALUES) is None


def test_the_escape_character_is_that_of_the_file():
    assert expanded("`$X\\a", VALUES, "`") == "$X\\a"
    assert unquoted("\"a\"'b'\\$X$X") == "ab$X$X"


@pytest.mark.parametrize(
    "text",
    [
        "FROM " + "${A:-" * 5000 + "}" * 5000,
        "ARG X=" + "a" * 3000 + "\nFROM ${X%%*a*a*a*a*b}",
        "ARG X=" + "a" * 3000 + "\nFROM ${X//*a*a*a*a*b/c}",
    ],
)
def test_a_base_that_takes_for_ever_to_find_out_is_not_known(text):
    assert base_of(text, {}) is None


def test_an_instruction_of_many_lines():
    (run,) = instructions("RUN a" + " \\\n b" * 100_000)
    assert run.rest.count(" b") == 100_000
