"""Print what is pure, by the contract in pyproject.toml, as coverage's `--include` takes it."""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def files() -> list[pathlib.Path]:
    """The files in the folders of the contract `pure`, relative to the checkout."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    names = next(c["source_modules"] for c in contracts if c.get("id") == "pure")
    paths = [ROOT.joinpath(*name.split(".")) for name in names]
    found = [sorted(p.glob("**/*.py")) if p.is_dir() else [p.with_suffix(".py")] for p in paths]
    return [path.relative_to(ROOT) for some in found for path in some]


if __name__ == "__main__":
    print(",".join(map(str, files())))
