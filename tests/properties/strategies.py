"""Configs to try properties on: sound ones, and texts that are no sound config."""

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
PLANES = (
    *(range(1, 0x80), range(0x80, 0x800), range(0x800, 0xD800), range(0xE000, 0xFFFD)),
    *(range(0xFFFE, 0x10000), range(0x10000, 0x110000)),
)
"""The same characters, by their bytes in UTF-8 and what stands between them."""

# An axis value's name ends up in tags. No name has a dash, nor is "base": then two different
# combinations cannot come to one tag, and the configs are sound by construction.
TAG_NAMES = ("py37", "3.10", "no", "null", "ubuntu2404", "1e3", "0x1f", "010", "yes", "2026_01")
WORD = f"{string.ascii_letters}{string.digits}_"

# Drawing takes longer than all else, and prefers little. So only numbers of things are drawn, so
# that they shrink; the rest is chosen by a generator with a drawn seed.
seeds = st.randoms(use_true_random=True)


def any_text(random):
    """One of the nasty texts, or a text of whatever characters."""
    if random.random() < 0.5:
        return random.choice(NASTY)
    planes = random.choices(PLANES, k=random.randint(0, 20))
    return "".join(chr(random.choice(plane)) for plane in planes)


def some(random, values, most=3, least=0):
    """A few of these values, each once, in any order."""
    most = min(len(values), most)
    return random.sample([*values], random.randint(min(least, most), most))


def _args(random, names, most=3):
    """Values for some of these build args or labels."""
    return {name: any_text(random) for name in some(random, names, most)}


def _tag_names(random, number):
    found = {}
    while len(found) < number:
        word = random.choice(WORD) + "".join(random.choices(f"{WORD}.", k=random.randint(0, 9)))
        name = random.choice([random.choice(TAG_NAMES), word])
        if name not in {"base", "push"}:
            found[name] = None
    return [*found]


OWN_ARGS = {
    "base_image": ("BASE_IMAGE", "UBUNTU_VERSION", "b"),
    "python": ("PYTHON_VERSION", "_p", "PIP"),
    "gpu": ("CUDA", "CUDNN", "g1"),
}
EXTRA = "extra"
AXES = ("base_image", "python", "gpu")
"""The axes of the original system."""


def _axis(random, names, args, clash):
    # SHARED has one value wherever it stands, which is no contradiction. CLASH has several, and
    # every entry settles it.
    values = {}
    for name in names:
        given = _args(random, args) | random.choice([{}, {"SHARED": "one $value"}])
        values[name] = given | ({"CLASH": any_text(random)} if clash else {})
    return values


def _extra(random, tag):
    # A recipe on top of the built-in `gpu`, which itself stands on `gpu-base`.
    return Recipe(
        dockerfile="dockerfiles/Dockerfile.extra",
        axes=tuple(some(random, AXES)),
        parent=("gpu",),
        parent_arg=random.choice(["BASE_IMAGE", "PARENT"]),
        omit=("BASE_IMAGE", *some(random, ["CUDA", "PIP"])),
        tag=tag,
        labels=_args(random, ["a", "b.c"]),
        build_args=_args(random, ["CUDA", "OWN", "PIP"]),
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


def _entries(random, values, with_extra, clash):
    bases, pythons, gpus = values
    possible = [
        kinds
        for kinds in TOGETHER
        if (gpus or not any(SHAPES[kind][0] for kind in kinds))
        and (with_extra or not any(EXTRA in (SHAPES[kind][2] or ()) for kind in kinds))
    ]
    entries = []
    cut = random.randrange(len(pythons))
    for group in filter(None, (pythons[:cut], pythons[cut:])):
        for kind in random.choice(possible):
            with_gpu, without, recipe = SHAPES[kind]
            # BASE_IMAGE may not hide a parent, so that only an entry without GPU has one.
            names = ["PIP", "_p", "CUDA", "NEW", *([] if with_gpu else ["BASE_IMAGE"])]
            axes = {
                "base_image": tuple(some(random, bases, least=1)) if bases else None,
                "python": tuple(random.sample(group, len(group))),
                "gpu": (*without, *some(random, gpus, least=1)) if with_gpu else without,
            }
            entry = Entry(
                axes={axis: names for axis, names in axes.items() if names is not None},
                recipe=recipe,
                build_args=_args(random, names) | ({"CLASH": any_text(random)} if clash else {}),
            )
            entries.append(entry)
    return tuple(random.sample(entries, len(entries)))


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


def _excludes(draw, random, entries):
    named = [combination for entry in entries for combination in combinations(entry)]
    survivor = random.choice(named)
    rules = []
    for hit in random.choices(named, k=draw(st.integers(0, 3))):
        axes = some(random, [*AXES, "recipe"], least=1)
        # A rule on the recipe `gpu` would take away what the recipe above it stands on.
        axes = [axis for axis in axes if axis != "recipe" or hit.recipe != "gpu"] or ["python"]
        chosen = {axis: (hit.get(axis),) for axis in axes}
        recipe = chosen.pop("recipe", None)
        reason = any_text(random)
        reason = reason if reason.strip() else "a reason"
        rules.append(Exclude(reason=reason, axes=chosen, recipe=recipe))
    return tuple(rule for rule in rules if not is_hit(rule, survivor))


def _aliases(random, built):
    # "recipe" is given as well, since a layer on top has the same axes.
    names = _tag_names(random, random.randint(0, 3))
    chosen = [(f"latest.{name}", random.choice(built)) for name in names]
    return {name: Alias(axes=dict(c.values), recipe=c.recipe) for name, c in chosen}


def _config(draw, random):
    names = _tag_names(random, 10)
    bases, pythons, gpus = (
        names[:3][: draw(st.integers(0, 3))],
        names[3:7][: draw(st.integers(1, 4))],
        names[7:][: draw(st.integers(0, 3))],
    )
    clash, with_extra = random.random() < 0.5, bool(gpus) and random.random() < 0.5
    entries = _entries(random, (bases, pythons, gpus), with_extra, clash)
    exclude = _excludes(draw, random, entries)
    built = [
        combination
        for entry in entries
        for combination in combinations(entry)
        if not any(is_hit(rule, combination) for rule in exclude)
    ]
    tag = "extra-{python}-{gpu}-{base_image}" if bases else "extra-{python}-{gpu}"
    return Config(
        base_url=random.choice([None, "gcr.io/p/r", "localhost:5000/a", "us-docker.pkg.dev/a/b/c"]),
        base_images=_axis(random, bases, OWN_ARGS["base_image"], clash),
        python_versions=_axis(random, pythons, OWN_ARGS["python"], clash),
        gpu_versions=_axis(random, gpus, OWN_ARGS["gpu"], False),
        images=entries,
        exclude=exclude,
        aliases=_aliases(random, built),
        recipes={EXTRA: _extra(random, tag)} if with_extra else {},
        cloudbuild=CloudBuild(
            timeout=random.randint(1, 86_400),
            machine_type=random.choice([None, "E2_HIGHCPU_8"]),
            logging=random.choice([None, "NONE", "GCS_ONLY"]),
            publish=random.choice(["each", "together"]),
            # The limits have tests of their own; here they are out of the way.
            limits=Limits(steps=1_000, args=1_000, arg_length=10_000),
        ),
    )


@st.composite
def configs(draw):
    """A config that is sound: every name exists, no tag is given twice, something is built."""
    return _config(draw, draw(seeds))


@st.composite
def variants(draw):
    """Two sound configs, the second made from the first by a change or by none."""
    random = draw(seeds)
    one = _config(draw, random)
    pythons = {
        name: args | _args(random, ["PYTHON_VERSION"]) for name, args in one.python_versions.items()
    }
    # Each change leaves a sound config; entries are not shared out over fewer than one.
    change = random.choice(
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
    pair = (one, msgspec.structs.replace(one, **change))
    return random.choice([pair, pair[::-1]])


# ---- configs of which only the form is right


FREE = (*AXES, "torch", "os")


def _arg_names(random, number):
    starts = random.choices(f"{string.ascii_letters}_", k=number)
    return [one + "".join(random.choices(WORD, k=random.randint(0, 9))) for one in starts]


def _any_args(random):
    return {name: any_text(random) for name in _arg_names(random, random.randint(0, 3))}


def _any_texts(random, most=2):
    return tuple({any_text(random): None for _ in range(random.randint(0, most))})


def _optional(random):
    return random.choice([None, any_text(random)])


def _choices(random):
    """A list of texts, of which one may be null; None for no list."""
    found = [*_any_texts(random), *random.choice([[], [None]])]
    return random.choice([None, (*random.sample(found, len(found)),)]) or None


def _chooser(random):
    chosen = {axis: _choices(random) for axis in some(random, FREE)}
    axes = {axis: choices for axis, choices in chosen.items() if choices}
    return {"axes": axes, "recipe": _choices(random)}


def _any_recipe(random):
    return Recipe(
        dockerfile=_optional(random),
        axes=random.choice([None, tuple(some(random, FREE))]),
        parent=random.choice([msgspec.UNSET, _any_texts(random)]),
        parent_only=random.choice([None, False, True]),
        repository=_optional(random),
        labels={key: any_text(random) for key in _any_texts(random)},
        target=_optional(random),
        context=_optional(random),
        parent_arg=random.choice([None, *_arg_names(random, 1)]),
        tag=_optional(random),
        tags=random.choice([None, _any_texts(random)]),
        omit=random.choice([None, _any_texts(random)]),
        build_args=_any_args(random),
        test=random.choice([None, _any_texts(random)]),
    )


def _any_alias(random):
    axes = {axis: _optional(random) for axis in some(random, FREE, 2)}
    return Alias(axes=axes, recipe=_optional(random))


def _any_aliased(random):
    number = random.randint(0, 3)
    return tuple(_any_alias(random) for _ in range(number)) if number else _any_alias(random)


def _any_axis(random):
    return _named(random, _any_args)


def _named(random, make):
    return {name: make(random) for name in _any_texts(random, 3)}


def _any_config(draw, random):
    entries, rules = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    counts = [random.randint(1, 10 ** random.randint(1, 9) - 1) for _ in range(3)]
    return Config(
        base_url=_optional(random),
        source=_optional(random),
        base_images=_any_axis(random),
        python_versions=_any_axis(random),
        gpu_versions=_any_axis(random),
        images=tuple(
            Entry(build_args=_any_args(random), **_chooser(random)) for _ in range(entries)
        ),
        exclude=tuple(Exclude(reason=any_text(random), **_chooser(random)) for _ in range(rules)),
        axes={axis: _any_axis(random) for axis in some(random, FREE, 2)},
        aliases=_named(random, _any_aliased),
        recipes=_named(random, _any_recipe),
        cloudbuild=CloudBuild(
            timeout=random.randint(1, 86_400),
            machine_type=random.choice([None, "E2_MEDIUM"]),
            logging=random.choice([None, "LEGACY", "STACKDRIVER_ONLY"]),
            publish=random.choice(["each", "together"]),
            limits=Limits(steps=counts[0], args=counts[1], arg_length=counts[2]),
        ),
    )


@st.composite
def well_formed(draw):
    """A config that may say anything that the format can say, whether it makes sense or not."""
    return _any_config(draw, draw(seeds))


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
    return yaml.load(dump(config), yaml.CSafeLoader)


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


def _restructured(draw, random):
    data = plain(_config(draw, random))
    for _ in range(draw(st.integers(1, 3))):
        path = random.choice(list(_paths(data)))
        new, keys = draw(json_values), random.sample(KEYS, len(KEYS))
        replaced = _changed(data, path, lambda _, new=new: new)
        rekeyed = _changed(data, path, lambda old, keys=keys: _rekeyed(old, keys))
        added = _changed(data, path, lambda old, new=new, keys=keys: _added(old, keys[0], new))
        data = random.choice([replaced, rekeyed, added])
    return data


def as_json(data, ensure_ascii):
    """The ways in which people's programs write JSON."""
    return [json.dumps(data, ensure_ascii=ensure_ascii, indent=n) for n in (None, 2, "\t")]


def _written(random, data):
    as_they_are = random.random() < 0.5
    if random.random() < 0.25:
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=as_they_are)
    return random.choice(as_json(data, ensure_ascii=not as_they_are))


def _cut_up(draw, random):
    text = _written(random, plain(_config(draw, random)))
    for _ in range(draw(st.integers(1, 4))):
        start = random.randint(0, len(text))
        length = random.choice([0, 0, 1, 1, 2, 5, 20, 200])
        text = text[:start] + random.choice(["", *SNIPPETS]) + text[start + length :]
    return text


def _bad_lines(draw, random):
    lines = _written(random, plain(_config(draw, random))).split("\n")
    for _ in range(draw(st.integers(1, 3))):
        index = random.randrange(len(lines))
        line = lines[index]
        key = random.choice(KEYS)
        changes = [
            [],
            [line, line],
            [" " + line],
            [line.lstrip()],
            [re.sub(r"\w+(?=\"?:)", key, line, count=1)],
            [line, " " * (len(line) - len(line.lstrip())) + f"{key}: {key}"],
        ]
        lines[index : index + 1] = random.choice(changes) or [""]
    return random.choice(["\n", "\r\n", "\r"]).join(lines)


def _broken_bytes(draw, random):
    data, at = _written(random, plain(_config(draw, random))).encode(), draw(st.integers(0, 500))
    return data[:at] + draw(st.binary(max_size=4)) + data[at:]


@st.composite
def _soup(draw):
    return "".join(draw(st.lists(st.sampled_from([*SNIPPETS, *KEYS]), max_size=30)))


KINDS = (
    lambda draw, random: _written(random, plain(_config(draw, random))),
    lambda draw, random: _written(random, plain(_any_config(draw, random))),
    lambda draw, random: _written(random, _restructured(draw, random)),
    lambda draw, random: _written(random, draw(json_values)),
    _cut_up,
    _bad_lines,
    _broken_bytes,
    lambda draw, _: draw(_soup()),
    lambda draw, _: draw(st.binary(max_size=60)),
)


@st.composite
def files(draw):
    """The bytes of a config file: some are sound, most of them not, some no text at all."""
    found = draw(st.sampled_from(KINDS))(draw, draw(seeds))
    return found if isinstance(found, bytes) else found.encode()
