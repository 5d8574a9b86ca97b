"""The grid in a README: what is between the markers, and nothing else."""

import pathlib

import pytest

from imagekit.cli.app import main
from imagekit.cli.readme import BEGIN, END

CONFIG = """
base_url: h/i
python_versions: {py39: {PYTHON_VERSION: 3.9}, py310: {PYTHON_VERSION: 3.10}}
gpu_versions: {cuda1: {CUDA: 1.0}}
images: [{python: [py39, py310]}, {python: py310, gpu: cuda1}]
"""
GRID = (
    "| python | no GPU | cuda1 (1.0) |\n"
    "| --- | --- | --- |\n"
    "| py39 | ✓ | · (1) |\n"
    "| py310 | ✓ | ✓ |\n"
    "\n"
    "1. no entry in 'images' names it\n"
    "\n"
    "1 more image is built only as a parent of these.\n"
)


@pytest.fixture
def call(capsys, config_file):
    config_file(CONFIG)

    def run(*args):
        with pytest.raises(SystemExit) as stop:
            main(["readme", "-c", "images.yaml", *args])
        said = capsys.readouterr()
        return stop.value.code, said.out, said.err

    return run


@pytest.fixture
def page(call):
    def write(text, name="README.md"):
        pathlib.Path(name).write_bytes(text.encode())
        return pathlib.Path(name)

    return write


def test_the_rest_of_the_file_stays_byte_for_byte(call, page):
    before, after = "\ufeff# Title\n\u2028 \x0b\nold\r\n", "\n\n  end without a line break"
    readme = page(f"{before}{BEGIN}\nold\n{END}{after}")
    assert call() == (0, "README.md written\n", "")
    assert readme.read_bytes().decode() == f"{before}{BEGIN}\n\n{GRID}\n{END}{after}"
    assert call() == (0, "README.md is up to date\n", "")
    assert call("--check") == (0, "README.md is up to date\n", "")


def test_windows_line_breaks_are_kept(call, page):
    readme = page(f"a\r\n{BEGIN}\r\n{END}\r\n")
    assert call()[0] == 0
    text = readme.read_bytes().decode()
    assert text == f"a\r\n{BEGIN}\r\n\r\n{GRID}\r\n{END}\r\n".replace("\r\n", "\n").replace(
        "\n", "\r\n"
    )
    assert call("--check")[0] == 0


def test_another_file_and_other_axes(call, page):
    other = page(f"{BEGIN}\n{END}\n", "other.md")
    assert call("other.md", "--columns", "python")[0] == 0
    assert "| GPU | py39 | py310 |" in other.read_text()


def test_check_writes_nothing_and_says_what_differs(call, page):
    text = f"{BEGIN}\n\n{GRID.replace('| py39 | ✓ |', '| py39 | ✗ |')}\n{END}\n"
    readme = page(text)
    code, out, err = call("--check")
    assert (code, out) == (4, "")
    assert err == (
        "README.md is out of date:\n"
        "  -| py39 | ✗ | · (1) |\n"
        "  +| py39 | ✓ | · (1) |\n"
        "Write it again with `imagekit readme` and commit it.\n"
    )
    assert readme.read_text() == text


def test_a_file_without_markers_is_told_which(call, page):
    readme = page("# Title\n")
    assert call() == (
        2,
        "",
        "README.md: there is no place for the grid; add these two lines where it belongs:\n"
        f"  {BEGIN}\n  {END}\n",
    )
    assert readme.read_text() == "# Title\n"


def test_markers_in_a_code_block_are_an_example(call, page):
    example = f"```html\n{BEGIN}\n{END}\n```\n\n~~~\n{END}\n~~~\n"
    readme = page(f"{example}{BEGIN}\n{END}\n")
    assert call()[0] == 0
    assert readme.read_text() == f"{example}{BEGIN}\n\n{GRID}\n{END}\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"{BEGIN}\n", [f"README.md:1: {BEGIN}"]),
        (f"\n{END}\n{BEGIN}\n", [f"README.md:2: {END}", f"README.md:3: {BEGIN}"]),
        (
            f"{BEGIN}\n{END}\n{BEGIN}\n",
            [f"README.md:1: {BEGIN}", f"README.md:2: {END}", f"README.md:3: {BEGIN}"],
        ),
    ],
)
def test_markers_that_are_no_pair_are_listed(text, where, call, page):
    page(text)
    code, _, err = call()
    assert code == 2
    assert err.splitlines() == [
        f"README.md: the grid belongs between one line {BEGIN} and one {END} after it; there are:",
        *(f"  {line}" for line in where),
    ]


def test_a_file_that_cannot_be_read(call, page):
    assert call() == (2, "", "README.md: cannot be read: No such file or directory\n")
    pathlib.Path("README.md").write_bytes(b"\xff")
    assert call() == (2, "", "README.md: cannot be read: it is not UTF-8\n")


def test_a_wrong_axis_is_an_error(call, page):
    page(f"{BEGIN}\n{END}\n")
    code, _, err = call("--rows", "pithon")
    assert (code, err) == (2, "'pithon' is not an axis; did you mean 'python'?\n")


def test_warnings_of_the_config_are_shown(call, page, config_file):
    config_file(CONFIG.replace("{CUDA: 1.0}", "{CUDA: 1.0}, cuda2: {CUDA: 2.0}"))
    page(f"{BEGIN}\n{END}\n")
    code, _, err = call()
    assert code == 0
    assert "warning: no image uses 'cuda2'" in err
