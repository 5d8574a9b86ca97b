"""Sound configs with free axes and recipes of their own, and a plain reading of their rules."""

import itertools
import re

import msgspec
from hypothesis import strategies as st

from imagekit.config.cloudbuild import CloudBuild, Limits
from imagekit.config.schema import Alias, Config, Entry, Exclude
from imagekit.config.schema import RecipeChange as Recipe
from tests.properties.strategies import NASTY, Combination, is_hit

# "text" and "value" are also columns of the notebook's tables. The first is never one of the
# three axes of the original system alone, with which there would be built-in recipes.
AXES = ("text", "os", "a-b", "torch_2", "value", "python", "gpu", "base_image", "N", "_")
ORIGINAL = {"python", "gpu", "base_image"}

RECIPES = ("one", "two.x", "THREE", "four_", "cpu", "gpu")
"""Names of recipes; that of a built-in one is nothing special with free axes."""

REPOSITORIES = {
    None: "{base}",
    "sub": "{base}/sub",
    "sub/two.x": "{base}/sub/two.x",
    "localhost:5000/a": "localhost:5000/a",
    "other.example.com/p/r": "other.example.com/p/r",
}
"""Repositories of recipes, and what they are in full."""

# No value has a dash, is on two axes, or is another part of a tag: then each tag of a recipe
# says of which image it is, with whatever axes.
VALUES = (
    *("py37", "3.10", "no", "null", "ubuntu2404", "1e3", "0x1f", "010", "yes", "2026_01", "_", "A"),
    *("a", "true", "_.", "x" * 20, "9"),
)


# ---- a plain reading of the rules


def lines(config, name):
    """Every line of recipes from a recipe up to one without a parent."""
    parents = config.recipes[name].parent or ()
    return [[name, *line] for parent in parents for line in lines(config, parent)] or [[name]]


def axes_of(config, line):
    """The axes that the recipes of a line read."""
    return {axis for name in line for axis in config.recipes[name].axes or ()}


def fitting(config, name, axes):
    """The lines of a recipe that read exactly these axes."""
    return [line for line in lines(config, name) if axes_of(config, line) == set(axes)]


def default(config, axes):
    """The recipe of an entry that names these axes and no recipe; None if it is not clear."""
    candidates = {
        name: line
        for name, recipe in config.recipes.items()
        if not recipe.parent_only
        for line in fitting(config, name, axes)
    }

    def is_layer(line):
        uppers = [line[depth:] for depth in range(1, len(line))]
        same = [upper for upper in uppers if axes_of(config, upper) == set(axes)]
        return any(upper[0] in candidates for upper in same)

    names = [name for name, line in candidates.items() if not is_layer(line)]
    return names[0] if len(names) == 1 else None


def combinations(config, entry):
    """What an entry names, spelt out; the recipe is None where it is not clear."""
    axes = [*config.axes]
    choices = [entry.axes.get(axis) or (None,) for axis in axes]
    found = []
    for values in itertools.product(*choices):
        chosen = tuple((a, v) for a, v in zip(axes, values, strict=True) if v is not None)
        for name in entry.recipe or (None,):
            recipe = name or default(config, dict(chosen))
            found.append(Combination(chosen, recipe))
    return found


def line_of(config, combination):
    """The only line of recipes that makes a combination; None if there is none or several."""
    if combination.recipe is None:
        return None
    found = fitting(config, combination.recipe, dict(combination.values))
    return found[0] if len(found) == 1 else None


def parent_of(config, combination):
    """The combination that another one is built upon, if any."""
    line = line_of(config, combination)[1:]
    if not line:
        return None
    axes = axes_of(config, line)
    return Combination(tuple(pair for pair in combination.values if pair[0] in axes), line[0])


def ancestors(config, combination):
    """Every combination that another one is built upon."""
    found = []
    while (combination := parent_of(config, combination)) is not None:
        found.append(combination)
    return found


def is_excluded(config, combination):
    return any(is_hit(rule, combination) for rule in config.exclude)


def listed(config):
    """Combination → build args of its entry, for those that entries name and no rule excludes."""
    return {
        combination: entry.build_args
        for entry in config.images
        for combination in combinations(config, entry)
        if not is_excluded(config, combination)
    }


def built(config):
    """Combination → build args of its entry, for all that is built."""
    named = listed(config)
    above = {upper: {} for combination in named for upper in ancestors(config, combination)}
    return above | named


def is_sound(config, entries):
    """Whether entries name only what exists, and nothing twice."""
    found = [c for entry in entries for c in combinations(config, entry)]
    return len(set(found)) == len(found) and all(line_of(config, c) for c in found)


# ---- strategies

# Drawing takes longer than all else, and prefers little. So only the numbers of axes, recipes and
# entries are drawn, so that they shrink; the rest is chosen by a generator with a drawn seed.


def _some(random, values, min_size=0, max_size=3):
    most = min(len(values), max_size)
    chosen = random.sample(range(len(values)), random.randint(min(min_size, most), most))
    return tuple(values[i] for i in sorted(chosen))


def arg_of(axis):
    """The build arg of an axis that may be part of a tag."""
    return "A_" + re.sub(r"\W", "_", axis)


def _args(random, names, most=2):
    return {name: random.choice(NASTY) for name in random.sample(names, random.randint(0, most))}


def _axes(draw, random):
    names = random.sample(AXES, draw(st.integers(1, 5)))
    if {*names} <= ORIGINAL:
        names[0] = "os"
    values = random.sample(VALUES, 3 * len(names))
    found = {}
    for number, axis in enumerate(names):
        has_tag_arg = random.random() < 0.5
        found[axis] = {}
        for value in values[number * 3 :][: random.randint(1, 3)]:
            args = random.choice([{}, {"SHARED": "one $value"}])
            # Each value has one of its own, so that a tag says of which it is.
            args |= {arg_of(axis): f"v{value}"} if has_tag_arg else {}
            args |= _args(random, [f"{arg_of(axis)}_2"], 1)
            # What would replace the parent; each recipe with a parent omits it.
            args |= {"BASE_IMAGE": "b"} if number == 0 and random.random() < 0.5 else {}
            found[axis][value] = args
    return found


def _patterns(random, axes, reachable):
    """Patterns of tags, of which each says what image it is of."""
    with_arg = [axis for axis in reachable if all(arg_of(axis) in a for a in axes[axis].values())]
    patterns = []
    for number in range(random.choice([1, 1, 2, 3])):
        parts = [
            f"{{{axis}.{arg_of(axis)}}}"
            if axis in with_arg and random.random() < 0.5
            else f"{{{axis}}}"
            for axis in random.sample(reachable, len(reachable))
        ]
        # The recipe may stand first, last or in between.
        parts.insert(random.randint(0, len(parts)), "{recipe}")
        if number:
            parts = [f"also{number}", *parts]
            parts += random.choice([[], ["{date}"], ["{commit}"], ["{commit}", "{date}"]])
        patterns.append("-".join(parts))
    return tuple(patterns)


def _recipes(draw, random, axes):
    recipes = {}
    args = [f"{arg_of(axis)}{end}" for axis in axes for end in ("", "_2")]
    for name in random.sample(RECIPES, draw(st.integers(1, 5))):
        own = _some(random, [*axes], 0, random.choice([1, 2, 2, 3]))
        parents = ()
        for parent in (
            _some(random, [*recipes], min(1, len(recipes))) if random.random() < 0.8 else ()
        ):
            trial = Config(recipes=recipes | {name: Recipe(axes=own, parent=(*parents, parent))})
            seen = [frozenset(axes_of(trial, line)) for line in lines(trial, name)]
            if len(set(seen)) == len(seen):
                parents = (*parents, parent)
        trial = Config(recipes=recipes | {name: Recipe(axes=own, parent=parents)})
        reachable = {axis for line in lines(trial, name) for axis in axes_of(trial, line)}
        tags = _patterns(random, axes, sorted(reachable))
        is_single = len(tags) == 1 and random.random() < 0.5
        omit = ["BASE_IMAGE"] if parents or random.random() < 0.5 else []
        recipes[name] = Recipe(
            dockerfile=random.choice(["Dockerfile", "a/b c/Dockerfile.$x"]),
            context=random.choice([None, ".", "a", "a/b c"]),
            target=random.choice([None, "last", "$stage"]),
            axes=own,
            parent=parents,
            parent_arg=random.choice([None, "BASE_IMAGE", "PARENT"]),
            parent_only=random.choice([None, False, True]),
            repository=random.choice([*REPOSITORIES]),
            tag=tags[0] if is_single else None,
            tags=None if is_single else tags,
            omit=(*omit, *random.sample(args, random.randint(0, 1))),
            build_args=_args(random, [*args, "OWN"]),
            labels=_args(random, ["a", "b.c", "$D"]),
            test=random.choice([None, (), ("t.yaml",)]),
        )
    return recipes


def _entry(random, config, *, is_plain=False):
    """An entry of which at least one image exists; all of them, if it is plain."""
    name = random.choice([*config.recipes])
    axes = axes_of(config, random.choice(lines(config, name)))
    chosen = {a: _some(random, [*config.axes[a]], 1, 2) for a in config.axes if a in axes}
    usual = default(config, axes)
    recipes = [None, (None,)] if usual == name else [(name,)]
    if not is_plain:
        recipes += [(name,), tuple({name: 0, random.choice([*config.recipes]): 0})]
        recipes += [(name, None)] if usual not in (name, None) else []
    recipe = random.choice(recipes)
    for axis in () if is_plain else config.axes:
        # With the axis and without it, where both exist.
        others = axes ^ {axis}
        names = [default(config, others) if one is None else one for one in recipe or (None,)]
        if all(one is not None and fitting(config, one, others) for one in names):
            values = chosen.get(axis) or _some(random, [*config.axes[axis]], 1, 2)
            chosen[axis] = (None, *values)
            break
    args = [*map(arg_of, config.axes), "NEW"]
    return Entry(axes=chosen, recipe=recipe, build_args=_args(random, args))


TRIES = 15


def _entries(draw, random, config):
    entries = [_entry(random, config, is_plain=True)]
    number = draw(st.integers(1, 5))
    for _ in range(TRIES):
        entry = _entry(random, config)
        if len(entries) < number and is_sound(config, [*entries, entry]):
            entries.append(entry)
    random.shuffle(entries)
    return tuple(entries)


def _with_excludes(random, config):
    """The config with rules that leave something to build, and no image without its parent."""
    named = [c for entry in config.images for c in combinations(config, entry)]
    for _ in range(random.randint(0, 3)):
        hit = random.choice(named)
        keys = _some(random, [*config.axes, "recipe"], 1)
        rule = Exclude(
            reason=f" {random.choice(NASTY)}.",
            axes={axis: (hit.get(axis),) for axis in keys if axis != "recipe"},
            recipe=(hit.recipe,) if "recipe" in keys else None,
        )
        trial = msgspec.structs.replace(config, exclude=(*config.exclude, rule))
        left = listed(trial)
        upon = [upper for c in left for upper in ancestors(trial, c)]
        if left and not any(is_excluded(trial, upper) for upper in upon):
            config = trial
    return config


def _aliases(random, config):
    images = [*built(config)]
    numbers = range(random.randint(0, 3))
    return {f"also.{number}": _alias(random, config, images) for number in numbers}


def _alias(random, config, images):
    """One combination, or one of each of several repositories."""
    if random.random() < 0.5:
        return _combination(random, config, random.choice(images))
    of = {config.recipes[c.recipe].repository: c for c in random.sample(images, len(images))}
    some = [*of.values()][: random.randint(1, 3)]
    return tuple(_combination(random, config, c) for c in some)


def _combination(random, config, c):
    axes = dict(c.values)
    axes |= {a: None for a in config.axes if a not in axes and random.random() < 0.5}
    is_usual = default(config, dict(c.values)) == c.recipe
    return Alias(axes=axes, recipe=None if is_usual and random.random() < 0.5 else c.recipe)


@st.composite
def free_configs(draw):
    """A config with free axes that is sound: each tag is of one image, and something is built."""
    random = draw(st.randoms(use_true_random=True))
    axes = _axes(draw, random)
    config = Config(
        base_url=random.choice([None, "gcr.io/p/r", "localhost:5000/b"]),
        source=random.choice([None, "https://example.com/$x"]),
        axes=axes,
        recipes=_recipes(draw, random, axes),
        cloudbuild=CloudBuild(
            publish=random.choice(["each", "together"]),
            limits=Limits(steps=10_000, args=1_000, arg_length=10_000),
        ),
    )
    config = msgspec.structs.replace(config, images=_entries(draw, random, config))
    config = _with_excludes(random, config)
    return msgspec.structs.replace(config, aliases=_aliases(random, config))
