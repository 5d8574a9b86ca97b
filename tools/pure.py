"""Print what is pure, by the contract in pyproject.toml, as coverage's `--include` takes it."""

import pathlib
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pure() -> list[str]:
    """The folders and modules of the contract `pure`, as patterns of paths."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    names = next(c["source_modules"] for c in contracts if c.get("id") == "pure")
    paths = [pathlib.Path(*name.split(".")) for name in names]
    return [f"{path}/*" if (ROOT / path).is_dir() else f"{path}.py" for path in paths]


if __name__ == "__main__":
    print(",".join(pure()))
