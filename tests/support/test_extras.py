import pytest

from imagekit.errors import MissingExtraError
from imagekit.support import extras


def test_a_missing_package_is_one_line_with_the_command():
    message = "the thing needs nowhere, which is not installed; run pip install 'imagekit[run]'"
    with pytest.raises(MissingExtraError) as error, extras.needed("the thing", "run"):
        import nowhere.at_all  # noqa: F401
    assert str(error.value) == message


def test_a_module_of_ours_that_is_missing_is_a_bug():
    with pytest.raises(ModuleNotFoundError), extras.needed("the thing", "run"):
        import imagekit.nowhere  # noqa: F401
