"""`make licenses`: the license of each installed package, as its metadata has it."""

from __future__ import annotations

from importlib import metadata

CLASSIFIER = "License :: OSI Approved :: "


def license_of(package: metadata.PackageMetadata) -> str:
    """The license: an SPDX expression, else the classifiers, else the first line of the text."""
    if expression := package.get("License-Expression"):
        return str(expression)
    classifiers = package.get_all("Classifier") or []
    named = [text.removeprefix(CLASSIFIER) for text in classifiers if text.startswith(CLASSIFIER)]
    text = (package.get("License") or "").strip().splitlines()
    return ", ".join(named) or (text[0][:60] if text else "unknown")


def main() -> None:
    """Print a line for each package, sorted by name."""
    found = {one.metadata["Name"]: one for one in metadata.distributions() if one.metadata["Name"]}
    for name in sorted(found, key=str.casefold):
        print(f"{name:<32} {found[name].version:<16} {license_of(found[name].metadata)}")


if __name__ == "__main__":
    main()
