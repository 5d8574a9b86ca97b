"""Docker's command line, as far as it is known what it reads and sends.

Whatever is not listed here is not understood, and `parse` returns None for it: a command that is
taken for another one would be permitted what the other one is. References:
docs.docker.com/reference/cli/docker, and github.com/spf13/pflag for how options are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

SOCKET = "/var/run/docker.sock"
"""The engine's socket."""

SHORT = {
    "build": {"c": "cpu-shares", "D": "debug", "f": "file", "m": "memory", "o": "output"}
    | {"q": "quiet", "t": "tag"},
    "run": {"a": "attach", "d": "detach", "e": "env", "h": "hostname", "i": "interactive"}
    | {"l": "label", "m": "memory", "p": "publish", "q": "quiet", "t": "tty", "u": "user"}
    | {"v": "volume", "w": "workdir"},
    "push": {"a": "all-tags", "q": "quiet"},
    "pull": {"a": "all-tags", "q": "quiet"},
    "save": {"o": "output"},
    "load": {"i": "input", "q": "quiet"},
}
"""The short names of options."""

SWITCHES = {
    does: frozenset(names.split())
    for does, names in {
        "build": "check compress debug disable-content-trust force-rm load no-cache pull push "
        "quiet rm squash stream",
        "run": "detach init interactive no-healthcheck privileged quiet read-only rm sig-proxy tty",
        "push": "all-tags disable-content-trust quiet",
        "pull": "all-tags disable-content-trust quiet",
        "load": "quiet",
    }.items()
}
"""The options without a value, by what the command does."""

VALUES = {
    does: frozenset(names.split())
    for does, names in {
        "build": "add-host annotation attest build-arg build-context cache-from cache-to "
        "cgroup-parent cpu-period cpu-quota cpu-shares cpuset-cpus cpuset-mems "
        "file iidfile isolation label memory memory-swap metadata-file network "
        "no-cache-filter output platform progress provenance sbom secret shm-size "
        "ssh tag target ulimit",
        "run": "add-host attach cidfile cpus device dns entrypoint env env-file expose "
        "gpus health-cmd hostname label label-file memory memory-swap mount name "
        "network net network-alias platform publish pull restart shm-size "
        "stop-signal stop-timeout tmpfs ulimit user volume workdir",
        "push": "platform",
        "pull": "platform",
        "tag": "",
        "save": "output platform",
        "load": "input platform",
    }.items()
}
"""The options with a value, by what the command does."""

VERBS = {
    ("build",): "build",
    ("image", "build"): "build",
    ("builder", "build"): "build",
    ("buildx", "build"): "build",
    ("buildx", "b"): "build",
    ("run",): "run",
    ("create",): "run",
    ("container", "run"): "run",
    ("container", "create"): "run",
    ("push",): "push",
    ("image", "push"): "push",
    ("pull",): "pull",
    ("image", "pull"): "pull",
    ("tag",): "tag",
    ("image", "tag"): "tag",
    ("save",): "save",
    ("image", "save"): "save",
    ("load",): "load",
    ("image", "load"): "load",
}
"""The commands whose options are known, by what they do."""

READING = {
    *((verb,) for verb in ("history", "images", "info", "inspect", "port", "ps", "version")),
    *(("image", verb) for verb in ("history", "inspect", "ls")),
    *(("buildx", verb) for verb in ("du", "inspect", "ls", "version")),
    ("manifest", "inspect"),
    ("manifest", "create"),
    ("manifest", "annotate"),
}
"""Commands that change nothing but docker's own notes, whatever their options are."""

SENDING = {("manifest", "push"), ("buildx", "imagetools")}
"""Commands that push an image in their own way."""

FILES = {
    "build": {"iidfile", "metadata-file", "file"},
    "run": {"env-file", "label-file", "cidfile"},
    "save": {"output"},
    "load": {"input"},
}
"""The options whose value is a file of the client."""

TRUE = {"1", "t", "T", "TRUE", "true", "True"}
"""What a switch may have as its value to be on (pkg.go.dev/strconv#ParseBool)."""


class Part(msgspec.Struct, frozen=True):
    """An option, or another argument with an empty name."""

    name: str
    """The long name of the option."""
    value: str
    """Its value; that of a switch is true or false."""
    index: int
    """The index of the argument that its value is in."""
    before: str = ""
    """What stands before the value in that argument."""


class Line(msgspec.Struct, frozen=True):
    """A command of docker that is understood."""

    does: str
    """What it does: build, run, push, pull, tag, read or send."""
    parts: tuple[Part, ...] = ()
    """Its options and arguments."""
    at: int = 0
    """The index of the argument behind the command."""

    def values(self, *names: str) -> list[str]:
        """The values of options."""
        return [part.value for part in self.parts if part.name in names]


def parse(args: Sequence[str]) -> Line | None:
    """Read the arguments of docker; None if something in them is not known."""
    at = 0
    while at < len(args) and args[at] in ("-D", "--debug"):
        at += 1
    for length in (1, 2):
        words = tuple(args[at : at + length])
        if words in READING or words in SENDING:
            return Line("read" if words in READING else "send")
        if words in VERBS:
            does = VERBS[words]
            parts = _parts(args, at + length, does)
            return None if parts is None else Line(does, tuple(parts), at + length)
    return None


def _parts(args: Sequence[str], at: int, does: str) -> list[Part] | None:
    parts: list[Part] = []
    only_words = False
    while at < len(args):
        arg = args[at]
        if only_words or not arg.startswith("-") or arg == "-":
            parts.append(Part("", arg, at))
            # What follows the image is the command of its container.
            only_words = only_words or does == "run"
        elif arg == "--":
            only_words = True
        else:
            found = _long(args, at, does) if arg.startswith("--") else _short(args, at, does)
            if found is None:
                return None
            parts += found
            at = found[-1].index
        at += 1
    return parts


def _long(args: Sequence[str], at: int, does: str) -> list[Part] | None:
    name, equals, value = args[at][2:].partition("=")
    if name in SWITCHES.get(does, ()):
        return [Part(name, str(not equals or value in TRUE).lower(), at)]
    if name not in VALUES[does]:
        return None
    if equals:
        return [Part(name, value, at, f"--{name}=")]
    return [Part(name, args[at + 1], at + 1)] if at + 1 < len(args) else None


def _short(args: Sequence[str], at: int, does: str) -> list[Part] | None:
    """Short options, which may be joined: `-it`, `-qf FILE`, `-f=FILE`, `-fFILE`."""
    parts: list[Part] = []
    for place, letter in enumerate(args[at][1:], start=2):
        name = SHORT.get(does, {}).get(letter)
        if name is None:
            return None
        rest = args[at][place:]
        if name in SWITCHES.get(does, ()):
            if rest.startswith("="):
                return [*parts, Part(name, str(rest[1:] in TRUE).lower(), at)]
            parts.append(Part(name, "true", at))
        elif rest:
            value = rest.removeprefix("=")
            return [*parts, Part(name, value, at, args[at][: len(args[at]) - len(value)])]
        else:
            return [*parts, Part(name, args[at + 1], at + 1)] if at + 1 < len(args) else None
    return parts


def fields(value: str) -> dict[str, str]:
    """The fields of a value in CSV, such as that of `--mount`; their names in lower case."""
    import csv  # Not at the top: few commands have such a value.

    row = next(csv.reader([value], strict=False), [])
    pairs = (field.partition("=") for field in row)
    return {name.strip().lower(): text for name, _, text in pairs}


def sends(line: Line) -> bool:
    """Whether a build pushes its image or its cache, or the command is another push."""
    if line.does != "build":
        return line.does == "send"
    outputs = map(fields, line.values("output"))
    caches = map(fields, line.values("cache-to"))
    return (
        "true" in line.values("push")
        or any(one.get("push") in TRUE or one.get("type") == "registry" for one in outputs)
        or any(one.get("type") not in ("local", "inline") for one in caches)
    )


def client_paths(line: Line) -> Iterator[tuple[Part, str]]:
    """The paths that the client opens, each with the part that it is the end of."""
    for part in line.parts:
        name, value = part.name, part.value
        is_context = line.does == "build" and not name and not is_remote(value)
        is_file = name in FILES.get(line.does, ())
        if is_context or is_file:
            yield from () if value == "-" else [(part, value)]
        elif name == "build-context" and not re.match(r"[^=]*=[a-z-]+://", value):
            yield part, value.partition("=")[2]
        elif name in ("output", "cache-from", "cache-to", "secret"):
            found = fields(value)
            named = [found[key] for key in ("dest", "src", "source") if key in found]
            if not named and "=" not in value and name == "output":
                named = [value]
            yield from ((part, path) for path in named if path != "-")


def mounted_paths(line: Line) -> Iterator[tuple[Part, str]]:
    """The paths of the engine's machine that a container gets, each with its part."""
    for part in line.parts if line.does == "run" else ():
        if part.name == "volume":
            source, colon, _ = part.value.partition(":")
            if colon and source.startswith(("/", ".", "~")):
                yield part, source
        elif part.name == "mount":
            found = fields(part.value)
            is_bind = found.get("type", "volume") == "bind"
            if is_bind or "volume-opt" in found or "volume-driver" in found:
                yield part, found.get("source", found.get("src", "")) if is_bind else "/"
        elif part.name == "device":
            yield part, part.value.partition(":")[0]


def environment(line: Line) -> Iterator[str]:
    """The names of environment variables that a command takes from the client."""
    for part in line.parts:
        if part.name in ("build-arg", "env"):
            if "=" not in part.value:
                yield part.value
        elif part.name == "secret":
            found = fields(part.value)
            if "src" not in found and "source" not in found:
                yield found.get("env", found.get("id", ""))


def is_remote(context: str) -> bool:
    """Whether a build context is an address."""
    pattern = r"(https?|git|ssh)://|git@|github\.com/"
    return re.match(pattern, context, re.IGNORECASE) is not None


def rewritten(
    args: Sequence[str], parts: Iterable[tuple[Part, str]], at: str, to: str
) -> list[str]:
    """The arguments with the paths of some parts below another folder."""
    changed = list(args)
    for part, path in parts:
        if path == at or path.startswith(f"{at}/"):
            own = part.value
            start = own.find(path)
            value = f"{own[:start]}{to}{path[len(at) :]}{own[start + len(path) :]}"
            changed[part.index] = part.before + value
    return changed
