"""Configs to try properties on: sound ones, and texts that are no sound config."""

import functools
import itertools
import json
import re
import string
from typing import NamedTuple

import msgspec
import yaml
from hypothesis import strategies as st

from imagekit.config.cloudbuild import CloudBuild, Limits
from imagekit.config.schema import Alias, Config, Entry, Exclude, dump
from imagekit.config.schema import RecipeChange as Recipe

NASTY = (
    *("", " ", "  two  ", "\t", "a\tb", "\n", "a\nb", "a\n\n b\n", "\r\n", "a\rb", "\x07", "\x7f"),
    *("\x85", "a\u2028b", "\u2029", "\ufeff", "\u200f", "\xa0", "é", "e\u0301", "日本語", "🐍"),
    *("👩\u200d💻 $HOME", "\U0010ffff", "$", "$$", "$$$", "${X}", "$_X", "$PROJECT_ID", "\\$"),
    *("'", '"', "'\"'", "\\", "\\n", "\\u0041", "\\ud83d", "`id`", "$(id)", "; rm -rf /", "%s"),
    *("3.10", "1e3", "1_000", "0x1f", "010", "1:30", ".5", "-0", ".inf", "2026-01-01"),
    *("no", "yes", "on", "null", "~", "true", "None", "NaN", "=", "a=b", "=b", "--build-arg"),
    *("#", "a #b", "a: b", "- a", "? a", "&a", "*a", "!a", "!!int 1", "|", ">", "%", "@", "{", "["),
    *("{python}", "[]", "{}", "<<", "---", "...", "a, b", "x" * 200, "word " * 40),
)
# What `source.scalar` refuses, since no program can be given it, is left out.
ANY_CHARACTER = st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd")
texts = st.sampled_from(NASTY) | st.text(ANY_CHARACTER, max_size=20)

# An axis value's name ends up in tags. No name has a dash, nor is "base": then two different
# combinations cannot come to one tag, and the configs are sound by construction.
TAG_NAMES = ("py37", "3.10", "no", "null", "ubuntu2404", "1e3", "0x1f", "010", "yes", "2026_01")
WORD = f"{string.ascii_letters}{string.digits}_"
# [A-Za-z0-9_][A-Za-z0-9_.]{0,9}; `from_regex` takes several times as long.
tag_names = st.sampled_from(TAG_NAMES) | st.builds(
    str.__add__, st.sampled_from(WORD), st.text(f"{WORD}.", max_size=9)
)
tag_names = tag_names.filter(lambda name: name not in {"base", "push"})
alias_names = tag_names.map("latest.{}".format)
reasons = texts.filter(str.strip)

OWN_ARGS = {
    "base_image": ("BASE_IMAGE", "UBUNTU_VERSION", "b"),
    "python": ("PYTHON_VERSION", "_p", "PIP"),
    "gpu": ("CUDA", "CUDNN", "g1"),
}
EXTRA = "extra"
AXES = ("base_image", "python", "gpu")
"""The axes of the original system."""


def _subset(values, min_size=1):
    return _subset_of(tuple(values), min_size)


# Strategies are made once: hypothesis looks each new one over, which takes longer than a draw.
@functools.cache
def _subset_of(values, min_size):
    return st.lists(st.sampled_from(values), min_size=min_size, unique=True).map(tuple)


@functools.cache
def _some(*names, max_size=3):
    """Values for some of these build args or labels."""
    return st.dictionaries(st.sampled_from(names), texts, max_size=max_size)


@st.composite
def _axis(draw, names, args, clash):
    # SHARED has one value wherever it stands, which is no contradiction. CLASH has several, and
    # every entry settles it.
    values = {}
    for name in names:
        given = draw(_some(*args))
        given |= draw(st.sampled_from([{}, {"SHARED": "one $value"}]))
        values[name] = given | ({"CLASH": draw(texts)} if clash else {})
    return values


@st.composite
def _extra(draw, tag):
    # A recipe on top of the built-in `gpu`, which itself stands on `gpu-base`.
    return Recipe(
        dockerfile="dockerfiles/Dockerfile.extra",
        axes=draw(_subset(AXES, 0)),
        parent=("gpu",),
        parent_arg=draw(st.sampled_from(["BASE_IMAGE", "PARENT"])),
        omit=("BASE_IMAGE", *draw(_subset(["CUDA", "PIP"], 0))),
        tag=tag,
        labels=draw(_some("a", "b.c", max_size=2)),
        build_args=draw(_some("CUDA", "OWN", "PIP")),
    )


SHAPES = {
    # What an entry of each kind says besides base image and Python: with a GPU or not, and how.
    "cpu": (False, None, None),
    "cpu, told twice": (False, (None,), ("cpu",)),
    "gpu": (True, (), None),
    "mixed": (True, (None,), None),
    "extra": (True, (), (EXTRA,)),
    "both": (True, (), ("gpu", EXTRA)),
}
# Kinds that have no combination in common, so that one group of Pythons may have them all.
TOGETHER = (("cpu",), ("gpu",), ("mixed",), ("both",), ("extra",), ("cpu, told twice", "both"))
TOGETHER += (("cpu", "gpu"), ("cpu", "gpu", "extra"), ("mixed", "extra"), ("extra", "cpu"))


@st.composite
def _entries(draw, bases, pythons, gpus, with_extra, clash):
    possible = [
        kinds
        for kinds in TOGETHER
        if (gpus or not any(SHAPES[kind][0] for kind in kinds))
        and (with_extra or not any(EXTRA in (SHAPES[kind][2] or ()) for kind in kinds))
    ]
    entries = []
    cut = draw(st.integers(0, len(pythons) - 1))
    for group in filter(None, (pythons[:cut], pythons[cut:])):
        for kind in draw(st.sampled_from(possible)):
            with_gpu, without, recipe = SHAPES[kind]
            # BASE_IMAGE may not hide a parent, so that only an entry without GPU has one.
            names = ["PIP", "_p", "CUDA", "NEW", *([] if with_gpu else ["BASE_IMAGE"])]
            args = draw(_some(*names))
            axes = {
                "base_image": draw(_subset(bases)) if bases else None,
                "python": tuple(draw(st.permutations(group))),
                "gpu": (*without, *draw(_subset(gpus))) if with_gpu else without,
            }
            entry = Entry(
                axes={axis: names for axis, names in axes.items() if names is not None},
                recipe=recipe,
                build_args=args | ({"CLASH": draw(texts)} if clash else {}),
            )
            entries.append(entry)
    return tuple(draw(st.permutations(entries)))


class Combination(NamedTuple):
    """One image as the oracle sees it: its values by axis, in order, and its recipe."""

    values: tuple[tuple[str, str], ...]
    recipe: str

    def get(self, name):
        return self.recipe if name == "recipe" else dict(self.values).get(name)


def made(recipe, **values):
    """A combination of these values; None for an axis that it does not have."""
    return Combination(tuple((a, v) for a, v in values.items() if v is not None), recipe)


def of_image(image):
    return Combination(tuple(image.values.items()), image.recipe)


def combinations(entry, axes=AXES):
    """What an entry names, spelt out: the oracle's own reading of it."""
    choices = [entry.axes.get(axis) or (None,) for axis in axes]
    for *values, recipe in itertools.product(*choices, entry.recipe or (None,)):
        chosen = dict(zip(axes, values, strict=True))
        yield made(recipe or ("cpu" if chosen.get("gpu") is None else "gpu"), **chosen)


def is_hit(rule, combination):
    """Whether a rule excludes a combination: the oracle's own reading of it."""
    choices = {**rule.axes, "recipe": rule.recipe}
    return all(c is None or combination.get(name) in c for name, c in choices.items())


@st.composite
def _excludes(draw, entries):
    named = [combination for entry in entries for combination in combinations(entry)]
    survivor = draw(st.sampled_from(named))
    rules = []
    for hit in draw(st.lists(st.sampled_from(named), max_size=3)):
        axes = draw(_subset([*AXES, "recipe"]))
        # A rule on the recipe `gpu` would take away what the recipe above it stands on.
        axes = [axis for axis in axes if axis != "recipe" or hit.recipe != "gpu"] or ["python"]
        chosen = {axis: (hit.get(axis),) for axis in axes}
        recipe = chosen.pop("recipe", None)
        reason = draw(reasons)
        rules.append(Exclude(reason=reason, axes=chosen, recipe=recipe))
    return tuple(rule for rule in rules if not is_hit(rule, survivor))


def _aliases(names, built):
    # "recipe" is given as well, since a layer on top has the same axes.
    aliases = [Alias(axes=dict(c.values), recipe=c.recipe) for c in built]
    return st.dictionaries(names, st.sampled_from(aliases), max_size=3)


@st.composite
def configs(draw):
    """A config that is sound: every name exists, no tag is given twice, something is built."""
    names = draw(st.lists(tag_names, min_size=10, max_size=10, unique=True))
    bases, pythons, gpus = (
        names[:3][: draw(st.integers(0, 3))],
        names[3:7][: draw(st.integers(1, 4))],
        names[7:][: draw(st.integers(0, 3))],
    )
    clash, with_extra = draw(st.booleans()), bool(gpus) and draw(st.booleans())
    entries = draw(_entries(bases, pythons, gpus, with_extra, clash))
    exclude = draw(_excludes(entries))
    built = [
        combination
        for entry in entries
        for combination in combinations(entry)
        if not any(is_hit(rule, combination) for rule in exclude)
    ]
    tag = "extra-{python}-{gpu}-{base_image}" if bases else "extra-{python}-{gpu}"
    own_args = OWN_ARGS
    return Config(
        base_url=draw(
            st.sampled_from([None, "gcr.io/p/r", "localhost:5000/a", "us-docker.pkg.dev/a/b/c"])
        ),
        base_images=draw(_axis(bases, own_args["base_image"], clash)),
        python_versions=draw(_axis(pythons, own_args["python"], clash)),
        gpu_versions=draw(_axis(gpus, own_args["gpu"], False)),
        images=entries,
        exclude=exclude,
        aliases=draw(_aliases(alias_names, built)),
        recipes={EXTRA: draw(_extra(tag))} if with_extra else {},
        cloudbuild=CloudBuild(
            timeout=draw(st.integers(1, 86_400)),
            machine_type=draw(st.sampled_from([None, "E2_HIGHCPU_8"])),
            logging=draw(st.sampled_from([None, "NONE", "GCS_ONLY"])),
            publish=draw(st.sampled_from(["each", "together"])),
            # The limits have tests of their own; here they are out of the way.
            limits=Limits(steps=1_000, args=1_000, arg_length=10_000),
        ),
    )


@st.composite
def variants(draw):
    """Two sound configs, the second made from the first by a change or by none."""
    one = draw(configs())
    pythons = {
        name: args | draw(st.dictionaries(st.just("PYTHON_VERSION"), texts))
        for name, args in one.python_versions.items()
    }
    # Each change leaves a sound config; entries are not shared out over fewer than one.
    change = draw(
        st.sampled_from(
            [
                {},
                {"python_versions": pythons},
                {"aliases": {}},
                {"exclude": (), "aliases": {}},
                {"images": one.images[:1], "exclude": (), "aliases": {}},
                {"images": one.images[::-1]},
                {"cloudbuild": CloudBuild(limits=one.cloudbuild.limits, publish="together")},
                {"base_url": "gcr.io/p/other"},
            ]
        )
    )
    pair = (one, msgspec.structs.replace(one, **change))
    return draw(st.sampled_from([pair, pair[::-1]]))


# ---- configs of which only the form is right


_arg_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
_args = st.dictionaries(_arg_names, texts, max_size=3)
_choices = st.none() | st.lists(st.none() | texts, min_size=1, max_size=3, unique=True).map(tuple)
_free = st.sampled_from([*AXES, "torch", "os"])
_choosers = {
    "axes": st.dictionaries(_free, _choices.filter(bool), max_size=3),
    "recipe": _choices,
}
_optional = st.none() | texts
_axes = st.lists(_free, unique=True, max_size=3).map(tuple)
_counts = st.integers(1, 999_999_999)
_changes = st.builds(
    Recipe,
    dockerfile=_optional,
    axes=st.none() | _axes,
    parent=st.just(msgspec.UNSET) | st.lists(texts, unique=True, max_size=2).map(tuple),
    parent_only=st.none() | st.booleans(),
    repository=_optional,
    labels=st.dictionaries(texts, texts, max_size=2),
    target=_optional,
    context=_optional,
    parent_arg=st.none() | _arg_names,
    tag=_optional,
    tags=st.none() | st.lists(texts, max_size=2).map(tuple),
    omit=st.none() | st.lists(texts, max_size=2).map(tuple),
    build_args=_args,
    test=st.none() | st.lists(texts, max_size=2).map(tuple),
)


def _named(values):
    return st.dictionaries(texts, values, max_size=3)


well_formed = st.builds(
    Config,
    base_url=_optional,
    source=_optional,
    base_images=_named(_args),
    python_versions=_named(_args),
    gpu_versions=_named(_args),
    images=st.lists(st.builds(Entry, build_args=_args, **_choosers), max_size=3).map(tuple),
    exclude=st.lists(st.builds(Exclude, reason=texts, **_choosers), max_size=2).map(tuple),
    axes=st.dictionaries(_free, _named(_args), max_size=2),
    aliases=_named(
        st.builds(Alias, axes=st.dictionaries(_free, _optional, max_size=2), recipe=_optional)
    ),
    recipes=_named(_changes),
    cloudbuild=st.builds(
        CloudBuild,
        timeout=st.integers(1, 86_400),
        machine_type=st.sampled_from([None, "E2_MEDIUM"]),
        logging=st.sampled_from([None, "LEGACY", "STACKDRIVER_ONLY"]),
        publish=st.sampled_from(["each", "together"]),
        limits=st.builds(Limits, steps=_counts, args=_counts, arg_length=_counts),
    ),
)
"""Configs that may say anything that the format can say, whether it makes sense or not."""


# ---- texts that are no sound config


KEYS = (
    *("base_url", "base_images", "python_versions", "gpu_versions", "images", "exclude", "aliases"),
    *(
        "recipes",
        "cloudbuild",
        "limits",
        "steps",
        "python",
        "gpu",
        "base_image",
        "recipe",
        "parent",
    ),
    *("build_args", "axes", "tag", "omit", "reason", "timeout", "cpu", "gpu-base", "pyhton", "<<"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from(KEYS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | texts, inner, max_size=3)
    ),
    max_leaves=8,
)
SNIPPETS = (
    *("{", "}", "[", "]", ":", ": ", "- ", ",", "\n", "\r", "\t", " ", "#", "'", '"', "\\", "|\n"),
    *(">\n", "&a ", "*a", "<<: *a\n", "!!", "!!int ", "!x ", "? ", "---\n", "...\n", "%YAML 1.1\n"),
    *("%TAG ! x\n", "\0", "\x07", "\x7f", "\x85", "\u2028", "\ufeff", "\ufffd", '"\\ud83d"', "~"),
    *('"\\UFFFFFFFF"', '"\\x"', "[" * 40, "{a: " * 40, "é", "🐍", "images:\n", "gpu: [null]\n"),
    *("{python}", "3.10", "&a [*a]", "&a {b: *a}", "gpu: x\n", "parent: extra\n"),
)


def plain(config):
    """A config as the plain data that YAML and JSON can write."""
    return yaml.safe_load(dump(config))


def _children(data):
    if isinstance(data, dict):
        return data.items()
    return enumerate(data) if isinstance(data, list | tuple) else ()


def _paths(data, path=()):
    yield path
    for key, value in _children(data):
        yield from _paths(value, (*path, key))


def _changed(data, path, change):
    if not path:
        return change(data)
    if isinstance(data, dict):
        return {k: _changed(v, path[1:], change) if k == path[0] else v for k, v in data.items()}
    return [_changed(v, path[1:], change) if i == path[0] else v for i, v in enumerate(data)]


def _rekeyed(data, keys):
    # The values of a mapping under other keys; what is no mapping becomes a key.
    return dict(zip(keys, data.values(), strict=False)) if isinstance(data, dict) else keys[0]


def _added(data, key, value):
    return {**data, key: value} if isinstance(data, dict) else [data, value]


def _pick(draw, values):
    # Not sampled_from, whose repr of many long values would cost more than the test.
    return values[draw(st.integers(0, len(values) - 1))]


@st.composite
def _restructured(draw):
    data = plain(draw(configs()))
    for _ in range(draw(st.integers(1, 3))):
        path = _pick(draw, list(_paths(data)))
        new, keys = draw(json_values), draw(st.permutations(KEYS))
        replaced = _changed(data, path, lambda _, new=new: new)
        rekeyed = _changed(data, path, lambda old, keys=keys: _rekeyed(old, keys))
        added = _changed(data, path, lambda old, new=new, keys=keys: _added(old, keys[0], new))
        data = _pick(draw, [replaced, rekeyed, added])
    return data


def as_json(data, ensure_ascii):
    """The ways in which people's programs write JSON."""
    return [json.dumps(data, ensure_ascii=ensure_ascii, indent=n) for n in (None, 2, "\t")]


@st.composite
def _written(draw, data):
    found = draw(data)
    as_they_are = draw(st.booleans())
    in_yaml = yaml.safe_dump(found, sort_keys=False, allow_unicode=as_they_are)
    return _pick(draw, [in_yaml, *as_json(found, ensure_ascii=not as_they_are)])


@st.composite
def _cut_up(draw):
    text = draw(_written(configs().map(plain)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from([0, 0, 1, 1, 2, 5, 20, 200]))
        text = text[:start] + draw(st.sampled_from(["", *SNIPPETS])) + text[start + length :]
    return text


@st.composite
def _bad_lines(draw):
    lines = draw(_written(configs().map(plain))).split("\n")
    for _ in range(draw(st.integers(1, 3))):
        index = draw(st.integers(0, len(lines) - 1))
        line = lines[index]
        key = draw(st.sampled_from(KEYS))
        changes = [
            [],
            [line, line],
            [" " + line],
            [line.lstrip()],
            [re.sub(r"\w+(?=\"?:)", key, line, count=1)],
            [line, " " * (len(line) - len(line.lstrip())) + f"{key}: {key}"],
        ]
        lines[index : index + 1] = _pick(draw, changes) or [""]
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines)


@st.composite
def _broken_bytes(draw):
    data, at = draw(_written(configs().map(plain))).encode(), draw(st.integers(0, 500))
    return data[:at] + draw(st.binary(max_size=4)) + data[at:]


@st.composite
def _soup(draw):
    return "".join(draw(st.lists(st.sampled_from([*SNIPPETS, *KEYS]), max_size=30)))


files = st.one_of(
    _written(configs().map(plain)).map(str.encode),
    _written(well_formed.map(plain)).map(str.encode),
    _written(_restructured()).map(str.encode),
    _written(json_values).map(str.encode),
    _cut_up().map(str.encode),
    _bad_lines().map(str.encode),
    _broken_bytes(),
    _soup().map(str.encode),
    st.binary(max_size=60),
)
"""The bytes of config files: some sound, most of them not, some no text at all."""
