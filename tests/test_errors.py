import importlib
import pkgutil

import pytest

import imagekit
from imagekit import errors
from imagekit.errors import Place, Problem, closest, listed, root_causes


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("images",), "images"),
        (("images", 3, "gpu", 0), "images[3].gpu[0]"),
        (("recipes", "gpu-base", "tag"), "recipes.gpu-base.tag"),
    ],
)
def test_a_path_reads_like_code(path, text):
    assert errors.show_path(path) == text


def test_a_problem_says_where_it_is():
    assert str(Problem(message="wrong")) == "wrong"
    assert str(Problem(message="wrong", path=("images", 0))) == "images[0]: wrong"
    placed = Problem(message="wrong", path=("images", 0), place=Place("c.yaml", 3, 5))
    assert str(placed) == "c.yaml:3:5: wrong"
    assert str(Problem(message="odd", severity="warning")) == "warning: odd"


def test_a_consequence_is_dropped_and_its_cause_is_not():
    cause = Problem(message="cause", path=("images", 0, "gpus"), intended_path=("images", 0, "gpu"))
    consequence = Problem(message="then", path=("images", 0), caused_by=(("images", 0, "gpu"),))
    other = Problem(message="other", path=("images", 1), caused_by=(("images", 1, "gpu"),))
    found = errors.root_causes([cause], [cause, consequence, other])
    assert found == [cause, other]


def test_two_problems_do_not_explain_each_other_away():
    both = [Problem(message=m, path=("a",), caused_by=(("a",), ("b",))) for m in ("one", "two")]
    assert errors.root_causes(both, both) == both[:1]
    crossed = [
        Problem(message="one", path=("a",), caused_by=(("b",),)),
        Problem(message="two", path=("b",), caused_by=(("a",),)),
    ]
    assert errors.root_causes(crossed, crossed)


def test_what_is_broken_above_explains_what_is_missing_below():
    cause = Problem(message="misspelt", path=("pythons",), intended_path=("python_versions",))
    consequence = Problem(message="x", path=("images", 0), caused_by=(("python_versions", "py"),))
    assert errors.root_causes([cause], [consequence]) == []


def test_names_that_are_known_later_are_suggested_too():
    known = {"ubuntu": 1}
    assert closest("debain", known) is None
    known["debian"] = 2
    assert closest("debain", known) == "debian"
    assert closest("debain", iter(known)) == "debian"


def test_a_problem_is_not_its_own_cause():
    problem = Problem(message="empty", path=("images",), caused_by=(("images",),))
    assert errors.root_causes([problem], [problem]) == [problem]


@pytest.mark.parametrize(
    ("name", "near"), [("imagse", "images"), ("IMAGES", "images"), ("zzz", None), ("", None)]
)
def test_the_closest_name(name, near):
    assert errors.closest(name, ["images", "exclude"]) == near


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("UsageError", 2),
        ("ParametersError", 2),
        ("ConfigError", 3),
        ("DriftError", 4),
        ("LimitError", 5),
        ("ValueError", 1),
    ],
)
def test_an_error_known_by_name_keeps_its_exit_code(name, code):
    assert errors.exit_code_of(name) == code


def test_every_error_is_defined_here_so_that_its_name_is_known():
    """A run knows the error of its notebook by name only, whatever is imported by then."""
    for module in pkgutil.walk_packages(imagekit.__path__, "imagekit."):
        if module.name != "imagekit.__main__":
            importlib.import_module(module.name)
    kinds, found = [errors.ImagekitError], set()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        found.add(kind)
    assert {kind.__module__ for kind in found} == {"imagekit.errors"}
    assert {kind.__name__: kind.exit_code for kind in found} == errors.EXIT_CODES


@pytest.mark.parametrize(
    "kind",
    [
        errors.UsageError,
        errors.ConfigError,
        errors.DriftError,
        errors.LimitError,
        errors.EngineError,
        errors.CloudError,
    ],
)
def test_an_exit_code_is_told_as_the_error_that_it_came_from(kind):
    error = errors.error_of(kind.exit_code, "why\nin two lines")
    assert type(error) is kind
    assert str(error).startswith("why")
    assert error.exit_code == kind.exit_code


def test_every_exit_code_has_an_error():
    assert set(errors.EXIT_CODES.values()) - {1} == set(errors._BY_EXIT_CODE)


@pytest.mark.parametrize("code", [1, 130, -9])
def test_another_exit_code_is_a_build_that_failed(code):
    assert isinstance(errors.error_of(code, "x"), errors.BuildError)


def test_jupyter_shows_the_message_and_no_traceback():
    error = errors.ConfigError([Problem(message="a"), Problem(message="b")])
    assert error._render_traceback_() == ["ConfigError: a\nb"]


def test_counted():
    assert [errors.counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]


def test_a_misspelled_name_is_found_among_many():
    known = [f"cuda-{number:05}" for number in range(10_000)]
    assert closest("cuda-0412", known) in known
    assert closest("cuda_04123", known) == "cuda-04123"
    assert closest("xuda-04123", known) == "cuda-04123"
    assert closest("nothing like it", known) is None


def test_many_names_are_not_all_listed():
    assert listed(map(str, range(21))) == ", ".join(map(str, range(21)))
    assert listed(map(str, range(100))).endswith("18, 19 and 80 more")


def test_equal_problems_do_not_explain_each_other():
    twin = Problem(message="m", path=("a",), caused_by=(("a",),))
    assert root_causes([twin, twin], [twin, twin]) == [twin, twin]


def test_an_excerpt_marks_the_word_in_a_long_line():
    line = "x" * 300 + ", pyhton: py312, " + "y" * 300
    problem = Problem(message="m", place=Place("f", 12, 303), line=line)
    shown, mark = problem.excerpt().split("\n")
    start = mark.index("^")
    assert shown[start:].startswith("pyhton:")
    assert mark.count("^") == len("pyhton")
    assert len(shown) < 120
    assert Problem(message="m").excerpt() == ""
