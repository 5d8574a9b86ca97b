import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

import imagekit
from imagekit.config.schema import Config, Entry
from imagekit.planning import check_names

NAMES = ("a", "b", "a-push", "b-test", "-a", "a\nb", "a" * 129, "a:b", "é")


@given(st.lists(st.sampled_from(NAMES), min_size=4, max_size=4))
@example(["a", "b", "c", "a-push"])
def test_names_in_which_nothing_is_found_together_are_fine_each(names):
    """Most plans have no wrong name, and their names are looked at together."""
    pythons = {f"py{number}": {"PYTHON_VERSION": f"3.{number}"} for number in range(4)}
    entry = Entry(axes={"python": tuple(pythons)})
    config = Config(base_url="r", python_versions=pythons, images=[entry])
    plan = imagekit.plan(config)
    images = [
        msgspec.structs.replace(image, tag=name)
        for image, name in zip(plan.images, names, strict=True)
    ]
    plan = msgspec.structs.replace(plan, images=tuple(images))
    matrix = imagekit.matrix(config)
    is_fine = check_names._are_fine(plan)
    given = check_names.Given(matrix, plan, {})
    problems = [*check_names._check_tags(given), *check_names._check_names(given)]
    assert not (is_fine and problems)
    assert is_fine or problems or any(name.endswith(check_names.SUFFIXES) for name in names)
