"""The Dockerfile of a project: dependencies in layers below the code, nothing secret in any."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from imagekit.project.dependencies import Declared

WORK = "/app"
"""Where the code lies and the container begins."""
HOME = "/home/app"
UV_IMAGE = "ghcr.io/astral-sh/uv:0.13.9"
"""Where uv comes from for lock files; as in dockerfiles/Dockerfile."""

Start = Literal["module", "script", "cmd", "shell", "notebook"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the container is to be.

    base: the image to stand on. apt: further Debian packages. uid, gid: who runs it. start and
    argument: what it runs. port: where a notebook server listens. uv_image: where uv comes from.
    """

    base: str
    apt: tuple[str, ...] = ()
    uid: int = 1000
    gid: int = 1000
    start: Start = "shell"
    argument: str = ""
    port: int = 8888
    uv_image: str = UV_IMAGE


def render(declared: Declared, wanted: Wanted) -> str:
    """The text of a Dockerfile: the same for the same project and wishes."""
    layers = _dependencies(declared)
    parts = [
        _head(declared, wanted),
        _apt((*declared.apt, *wanted.apt)),
        _user(wanted),
        f"WORKDIR {WORK}",
        *layers,
        _notebook() if wanted.start == "notebook" else "",
        _code(declared, wanted),
        _start(wanted),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(declared: Declared, wanted: Wanted) -> str:
    lines = [
        "# Made by `imagekit dockerfile`. Steps that install mount secrets, each if it is given:",
        "# ca_bundle (certificates), netrc (logins), pip_conf (a pip.conf), as in",
        "# docker build --secret id=netrc,src=$HOME/.netrc",
    ]
    if declared.lock:
        lines += [f"FROM {wanted.uv_image} AS uv", ""]
    first = [
        "# Whoever the base image runs as, what is installed belongs to root.",
        "# hadolint ignore=DL3002",
    ]
    return "\n".join([*lines, f"FROM {wanted.base}", *first, "USER 0"])


def _apt(packages: Iterable[str]) -> str:
    names = sorted(set(packages))
    if not names:
        return ""
    listed = " \\\n".join(f"        {_quote(name)}" for name in names)
    return (
        "# apt's lists and packages stay outside the image. Versions are not pinned: a release's\n"
        "# archive keeps only the newest of each, so that a pin would soon not be found.\n"
        "# hadolint ignore=DL3008,DL3009\n"
        "RUN --mount=type=tmpfs,target=/var/lib/apt/lists \\\n"
        "    --mount=type=cache,target=/var/cache/apt,sharing=private \\\n"
        "    apt-get update \\\n"
        "    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\\n"
        f"{listed}"
    )


def _user(wanted: Wanted) -> str:
    """Who owns the work directory; programs ask for the name and home of who runs them."""
    if wanted.uid == 0:
        return ""
    uid, gid = wanted.uid, wanted.gid
    return (
        "# Programs ask for the name and the home of who runs them.\n"
        f"RUN {{ getent group {gid} || echo 'app:x:{gid}:' >> /etc/group; }} \\\n"
        f"    && {{ getent passwd {uid} || echo 'app:x:{uid}:{gid}::{HOME}:/bin/bash' "
        ">> /etc/passwd; } \\\n"
        f"    && install -d -o {uid} -g {gid} {HOME} {WORK}\n"
        f"ENV HOME={HOME}"
    )


# ---- dependencies


def _dependencies(declared: Declared) -> list[str]:
    """The layers below the code: they are made again only when what they say changes."""
    layers = [_copy(declared.files)] if declared.files else []
    layers += [_copy([folder], folder=True) for folder in declared.folders]
    extras = [f"--extra={name}" for name in declared.extras]
    if declared.lock == "uv.lock":
        words = ["uv", "sync", "--locked", "--inexact", "--no-dev", "--no-install-project", *extras]
        layers.append(_uv(words))
    elif declared.lock == "pylock.toml":
        words = ["uv", "pip", "install", "--python", "python", "-r", "pylock.toml", *extras]
        layers.append(_uv(words))
    # All in one, so that pip sees what contradicts each other.
    named = [word for name in declared.requirement_files for word in ("-r", name)]
    words = [*named, *sorted(declared.requirements, key=str.lower)]
    return [*layers, _pip(words)] if words else layers


def _code(declared: Declared, wanted: Wanted) -> str:
    owner = "" if wanted.uid == 0 else f" --chown={wanted.uid}:{wanted.gid}"
    layers = [f'COPY{owner} [".", "./"]']
    layers += [_pip(["-r", name]) for name in declared.late]
    if declared.project and not declared.late:
        extras = f"[{','.join(declared.extras)}]" if declared.extras else ""
        # Its dependencies are there already, unless only its build knows them. It is built from
        # what was sent to the builder, so that no traces of building lie beside the code.
        source = [f"/mnt/source{extras}"] if declared.whole else ["--no-deps", "/mnt/source"]
        layers.append(_pip(source, mounts="    --mount=type=bind,target=/mnt/source,rw \\\n"))
    if wanted.uid != 0:
        layers.append(f"USER {wanted.uid}:{wanted.gid}")
    return "\n".join(layers)


SECRETS = (
    "    --mount=type=secret,id=ca_bundle \\\n"
    "    --mount=type=secret,id=netrc,target=/root/.netrc \\\n"
    "    --mount=type=secret,id=pip_conf,target=/etc/pip.conf \\\n"
)
TRUST = "if [ -s /run/secrets/ca_bundle ]; then export {}=/run/secrets/ca_bundle; fi"


def _pip(words: Sequence[str], *, mounts: str = "") -> str:
    # HOME is the user's by now, and root's cache and logins are meant.
    # One a line, so that a change of one is a change of one line.
    command = " \\\n        ".join(_quoted(words)).replace("-r \\\n        ", "-r ")
    return (
        "# hadolint ignore=DL3013,DL3042\n"
        "RUN --mount=type=cache,target=/root/.cache/pip \\\n"
        f"{mounts}{SECRETS}"
        f"    {TRUST.format('PIP_CERT')} \\\n"
        # The base image lets every user install; that is to hold for what is installed here.
        "    && umask 0 \\\n"
        f"    && HOME=/root python -m pip install --disable-pip-version-check \\\n        {command}"
    )


def _uv(words: Sequence[str]) -> str:
    return (
        "RUN --mount=type=bind,from=uv,source=/uv,target=/usr/local/bin/uv \\\n"
        "    --mount=type=cache,target=/root/.cache/uv \\\n"
        f"{SECRETS}"
        f"    {TRUST.format('SSL_CERT_FILE')} \\\n"
        '    && UV_PROJECT_ENVIRONMENT="$(python -c "import sys; print(sys.prefix)")" \\\n'
        "    && export HOME=/root UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT \\\n"
        "    && umask 0 \\\n"
        f"    && {' '.join(_quoted(words))}"
    )


def _notebook() -> str:
    return _pip(["jupyterlab"])


def _quoted(words: Iterable[str]) -> list[str]:
    return [_quote(word) for word in words]


def _quote(word: str) -> str:
    """A word as a shell reads it; double quotes are easier to read around single ones."""
    if "'" in word and not re.search(r'["$`\\!]', word):
        return f'"{word}"'
    return shlex.quote(word)


def _copy(paths: Sequence[str], *, folder: bool = False) -> str:
    """Files to where they lie in the directory; COPY takes one folder at a time as a target."""
    if folder:
        (path,) = paths
        return f"COPY {_json([f'{_literal(path)}/', f'{_variable(path)}/'])}"
    lines = []
    by_folder: dict[str, list[str]] = {}
    for path in sorted(paths):
        by_folder.setdefault(path.rpartition("/")[0], []).append(path)
    for where, names in by_folder.items():
        target = f"{_variable(where)}/" if where else "./"
        lines.append(f"COPY {_json([*map(_literal, names), target])}")
    return "\n".join(lines)


def _json(words: Sequence[str]) -> str:
    return json.dumps(words, ensure_ascii=False)


def _literal(path: str) -> str:
    """A path as COPY takes it for itself: no wildcard, no variable."""
    # A backslash is an escape of the pattern before it is one of the word.
    return _variable(re.sub(r"([*?\[])", r"[\1]", path.replace("\\", "\\\\")))


def _variable(path: str) -> str:
    # COPY reads its words like a shell does, those of its JSON form, too.
    return re.sub(r"([\\$'\"])", r"\\\1", path)


# ---- what it runs


def _start(wanted: Wanted) -> str:
    words = {
        "module": ["python", "-m", wanted.argument],
        "script": ["python", wanted.argument],
        "notebook": [
            *("jupyter", "lab", "--ip=0.0.0.0", f"--port={wanted.port}", "--no-browser"),
            *(["--allow-root"] if wanted.uid == 0 else []),
        ],
    }
    if wanted.start in words:
        expose = f"EXPOSE {wanted.port}\n" if wanted.start == "notebook" else ""
        return f"{expose}ENTRYPOINT {_json(words[wanted.start])}"
    if wanted.start == "cmd":
        return f"CMD {_json(shlex.split(wanted.argument))}"
    return 'CMD ["bash"]'
