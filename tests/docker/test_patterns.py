import re

import pytest
from hypothesis import given, strategies

from imagekit.docker import patterns


def named(glob, path):
    found = patterns.source(glob)
    return found is not None and found.names(tuple(path.split("/")))


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        (".", "a/b"),
        ("/", "a"),
        ("a", "a"),
        ("a", "a/b/c"),
        ("./a/", "a/b"),
        ("../../a", "a"),
        ("a/../b", "b"),
        ("*", "a/b"),
        ("*.txt", "a.txt"),
        ("a/*/c", "a/b/c"),
        ("a?c", "abc"),
        ("a**c", "abc"),
        ("a***c", "abc"),
        ("[ab]", "b"),
        ("[^ab]", "c"),
        ("[a-c]x", "bx"),
        ("[!a]x.txt", "!x.txt"),
        ("[!a]x.txt", "ax.txt"),
        ("[[]1]", "[1]"),
        ("\\[1]", "[1]"),
        ("[\\]]", "]"),
        ("[a&&b]", "&"),
        ("[+--b]", ","),
        ("[a-c-]", "-"),
        ("[a-]", "-"),
        ("[[a]]", "a]"),
        ("[a||b~~]", "~"),
        ("a]", "a]"),
        ("a.b+(c)", "a.b+(c)"),
        ("a\nb", "a\nb"),
    ],
)
def test_what_copy_names(glob, path):
    assert named(glob, path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("a", "b"),
        ("a", "ab"),
        ("a/b", "a"),
        ("*/b", "a/c/b"),
        ("a?c", "a/c"),
        ("[^ab]", "b"),
        ("[z-a]", "m"),
        ("\\*", "a"),
        ("a.b", "axb"),
    ],
)
def test_what_copy_does_not_name(glob, path):
    assert not named(glob, path)


@pytest.mark.parametrize("glob", ["[", "a/[b", '["a"', "a\\", "[]", "x/[z-a]"])
def test_what_is_no_pattern_names_nothing(glob):
    assert patterns.source(glob) is None


def test_the_way_to_what_is_named():
    found = patterns.source("a/*/c")
    assert [found.leads_to(path) for path in [("a",), ("a", "b"), ("a", "b", "c")]] == [True] * 3
    assert [found.leads_to(path) for path in [("b",), ("a", "b", "d")]] == [False] * 2


@pytest.mark.parametrize(
    ("rules", "out", "kept"),
    [
        ("", "", "a .dockerignore"),
        ("# a\n\n  \n", "", "a"),
        ("  # a", "", "a"),
        ("a", "a a/b", "ab b/a"),
        ("/a/", "a a/b", "b/a"),
        ("./a", "a", "b"),
        (" a ", "a", "b"),
        ("\ufeffa", "a", "b"),
        ("*", "a b/c .x", ""),
        (".", "", "a"),
        ("*/b", "a/b a/b/c", "b a/c/b"),
        ("*/*/temp*", "a/b/temporary", "a/temporary"),
        ("temp?", "tempa", "temp tempab a/tempa"),
        ("**/*.go", "a.go b/a.go c/b/a.go", "a.got"),
        ("**/a", "a b/a b/c/a/d", "ba"),
        ("**.txt", "a.txt b/c.txt", "a.md"),
        ("a/**", "a/b a/b/c", "a b"),
        ("a/**/z", "a/z a/b/c/z", "a/b z"),
        ("**", "a a/b", ""),
        ("*.md\n!README.md", "a.md", "README.md a/b.md"),
        ("*.md\n!README*.md\nREADME-secret.md", "a.md README-secret.md", "README.md"),
        ("*.md\nREADME-secret.md\n!README*.md", "a.md", "README-secret.md README.md"),
        ("*\n!a/b", "a c a/c", "a/b a/b/c"),
        ("! a", "", "a"),
        ("a\n! a", "", "a"),
        ("!", "", "a"),
        ("[", "", "["),
        ("a\n[\nb", "a b", "c"),
        ("[^a]", "b", "a"),
        ("\\#a", "#a", "a"),
    ],
)
def test_what_a_dockerignore_leaves_out(rules, out, kept):
    found = patterns.ignore(rules)
    for paths, expected in ((out, True), (kept, False)):
        for path in paths.split():
            assert found.leaves_out(tuple(path.split("/"))) == expected, path


@pytest.mark.parametrize("rules", ["", "!.git", "*\n!.git/HEAD"])
def test_git_is_always_left_out(rules):
    assert patterns.ignore(rules).leaves_out((".git",))
    assert patterns.ignore(rules).leaves_out(("a", ".git", "HEAD"))


def test_exceptions():
    assert not patterns.ignore("a\nb").has_exceptions
    assert patterns.ignore("a\n!b").has_exceptions


@pytest.mark.parametrize(
    "rule",
    [
        "**/**/**/**/**/**/**/**/x",
        "*a" * 12 + "b",
        "**a" * 12 + "b",
        "*[a-z]" * 12 + "0",
        "?*" * 12 + "b",
        "**/*a" * 8 + "b",
    ],
)
def test_many_wildcards_take_no_longer_than_the_text(rule):
    """Docker's matching is linear; with a regular expression alone this would take for ever."""
    deep = ("a" * 100,) * 20
    assert not patterns.ignore(rule).names(deep)
    assert not named(rule.replace("**/", ""), "a" * 200)


PIECES = ["a", "b", "*", "**", "**/", "/", "?", "[ab]", "[^a]", "\\a"]


@given(
    strategies.lists(strategies.sampled_from(PIECES), max_size=8),
    strategies.text("ab/", max_size=9),
    strategies.sampled_from([patterns.WITHIN, patterns.ACROSS]),
)
def test_both_ways_of_matching_say_the_same(pieces, text, wildcards):
    allowed = [piece for piece in pieces if "/" not in piece or wildcards is patterns.ACROSS]
    glob = patterns.Glob(allowed, wildcards)
    plain = re.compile("".join(patterns._piece(piece, wildcards) for piece in allowed), re.DOTALL)
    assert glob._run(text) == (plain.fullmatch(text) is not None) == glob.fullmatch(text)
