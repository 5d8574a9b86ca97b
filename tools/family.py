"""The families of images that tests read.

The family of this repository is what its users change: `config/`, `dockerfiles/`, `notebooks/` and
the build files. `tests/family/` holds for every family. All other tests read the fixed one in
`tests/fixtures/family/`, so that they pass whatever the repository's own becomes.
"""

import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
FAMILY = ROOT / "tests" / "fixtures" / "family"
"""The family of the tests. Its Dockerfiles are stubs, and `make notebooks` writes its notebooks."""
PARTS = ("config", "dockerfiles", "notebooks", "pyproject.toml", "cloudbuild*.json")
"""What a family is made of. One build file or several: a large matrix is split."""


def copied(folder: pathlib.Path, family: pathlib.Path = FAMILY) -> pathlib.Path:
    """A copy of a family: notebooks may write there, and find no runs."""
    for path in (found for part in PARTS for found in family.glob(part)):
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / path.name)
    return folder
