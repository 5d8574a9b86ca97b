"""Comparisons of files that people wrote: what is understood, and what is not."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.compare import report
from imagekit.compare.build_file import Pair, files_of, pair
from imagekit.compare.changes import ORDER, compare, compare_builds, compare_files
from imagekit.compare.files import with_files
from imagekit.compare.inventory import (
    Known,
    image_names,
    of_build,
    read,
    read_build,
    reference_names,
)

DOCKER = "gcr.io/cloud-builders/docker"


class Tree:
    """A Dockerfile that copies one file, with some content."""

    def __init__(self, content):
        self.content = content

    def read(self, path):
        return b"FROM ubuntu:24.04\nCOPY app.py /\n" if path == "Dockerfile" else None

    def hash(self, path):
        return f"-{self.content}"

    def entries(self, folder):
        return [("app.py", "file")]


def step(args, name=DOCKER, **more):
    return {"name": name, "args": args, **more}


def text(*steps, **whole):
    return json.dumps({"steps": steps, **whole})


X = "eu.gcr.io/acme/x:1"
MIXED = (
    step(["buildx", "build", "-t", X, "--push", "."]),
    step(["--destination=eu.gcr.io/acme/y:1", "--context=."], "gcr.io/kaniko-project/executor"),
    step(["-c", "docker build -t eu.gcr.io/acme/z:1 ."], entrypoint="bash"),
)


def test_images_of_buildx_and_kaniko_change_with_their_files():
    build = read(text(*MIXED))
    changes = compare(*(with_files(build, Tree(content)) for content in "12"))
    assert [*changes.changed] == [X, "eu.gcr.io/acme/y:1"]
    assert {str(d) for ds in changes.changed.values() for d in ds} == {"app.py changed"}
    assert changes.unknown == ("step 3",)
    assert "Step 3 is not understood; its text has not changed." in report.markdown(
        changes, "a", "b"
    )


def test_a_step_that_is_not_understood_makes_no_images_the_same():
    changes = compare_files(text(*MIXED, timeout="1s"), text(*MIXED, timeout="1s") + " ")
    same = compare(read(text(*MIXED)), read(text(*MIXED)))
    assert not same
    assert same.unknown == changes.unknown == ("step 3",)
    assert report.nothing("a", "b", same.unknown) == (
        "no known change between a and b; step 3 is not understood; its text has not changed"
    )
    assert report.markdown(same, "a", "b") == (
        "No known change between `a` and `b`. Step 3 is not understood; its text has not changed.\n"
    )
    assert report.not_known(("step 1", "step 2")) == (
        "step 1, step 2 are not understood; their texts have not changed"
    )
    assert json.loads(report.as_json(same, "a", "b"))["unknown"] == ["step 3"]
    known = compare(read(text(MIXED[0])), read(text(MIXED[0])))
    assert "unknown" not in json.loads(report.as_json(known, "a", "b"))
    assert report.nothing("a", "b") == "no change: a and b describe the same images"


def script(words):
    return text(step(["-c", f"echo {'x ' * 60}{words}"], "bash"))


def test_a_script_that_has_changed_is_told_on_one_line():
    before, after = script("one\ndone"), script(f"two {'y' * 200}")
    changes = compare_files(before, after)
    assert changes.unknown == ()
    (difference,) = changes.whole
    # JSON has all of it.
    assert difference.after.endswith("y" * 200)
    (_, _, _, *shown) = msgspec.structs.astuple(*report.rows(changes))
    assert f"~ step 1 {' → '.join(shown)}" == next(changes.lines())
    difference = difference.excerpt()
    assert difference.before == "…x x x x x x x x x x one\\ndone"
    assert difference.after.startswith("…x x x x x x x x x x two yyy")
    assert difference.after.endswith("y…")
    assert changes.summary() == "step 1 changed"
    assert compare_files(script("a"), text(step(["info"]))).summary() == "step 1 changed"
    only = text(step(["build", "-t", "a:1", "."]))
    both = text(step(["build", "-t", "a:1", "."]), json.loads(before)["steps"][0])
    assert compare_files(only, both).summary() == "step 2 added"
    assert compare_files(both, only).summary() == "step 2 removed"
    short = compare_files(text(step(["info"])), text(step(["version"])))
    assert short.summary() == f"step 1 {DOCKER} info → {DOCKER} version"


def test_steps_are_told_in_their_order():
    steps = [step(["info", str(number)]) for number in range(1, 12)]
    changes = compare_files(text(), text(*steps))
    assert [d.what for d in changes.whole] == [f"step {number}" for number in range(1, 12)]
    assert changes.summary() == "11 changes outside the images"


BUILD = step(["build", "-t", "eu.gcr.io/acme/tool:7", "."])
BY_NAME = step(["build", "-t", "eu.gcr.io/acme/tool:$_TAG", "."])


def test_an_image_may_be_named_by_a_substitution():
    before = text(BUILD, images=["eu.gcr.io/acme/tool:7"])
    after = text(BY_NAME, images=["eu.gcr.io/acme/tool:$_TAG"], substitutions={"_TAG": "7"})
    assert compare_files(before, after).summary() == "substitutions._TAG (none) → 7"
    assert list(read(after).images) == ["eu.gcr.io/acme/tool:7"]


def test_a_substitution_and_a_tag_may_be_written_in_several_ways():
    tool = step(["build", "-t", "eu.gcr.io/$PROJECT_ID/tool", "."])
    before = text(tool, images=["eu.gcr.io/$PROJECT_ID/tool"])
    after = text(tool, images=["eu.gcr.io/${PROJECT_ID}/tool:latest"])
    assert compare_files(before, after).summary() == "only the formatting differs"


@pytest.mark.parametrize("value", ["app", "${_UP}/app"])
def test_substitutions_in_a_folder_are_applied(value):
    build = step(["build", "-t", X, "-f", "$_DIR/D", "."], dir="${_DIR}")
    options = {"dynamicSubstitutions": True}
    substitutions = {"_DIR": value, "_UP": "up"}
    (image,) = read(text(build, substitutions=substitutions, options=options)).images.values()
    folder = value.replace("${_UP}", "up")
    assert image.dockerfile == f"{folder}/{folder}/D"
    assert image.options["context"] == folder


def test_all_tags_of_a_repository_may_be_pushed_at_once():
    build = step(["build", "-t", X, "."])
    before = text(build, step(["push", X]))
    after = text(build, step(["push", "--all-tags", "eu.gcr.io/acme/x"]))
    assert compare_files(before, after).summary() == ORDER
    other = text(build, step(["push", "--all-tags", "eu.gcr.io/acme/other"]))
    assert str(compare_files(before, other).changed[X][0]) == "pushed yes → no"


def test_a_remote_context_is_shown_as_it_is_written():
    address = "https://github.com/acme/code.git#main:docker"
    before, after = text(step(["build", "-t", X, "."])), text(step(["build", "-t", X, address]))
    assert list(map(str, compare_files(before, after).changed[X])) == [
        f"Dockerfile Dockerfile → {address}/Dockerfile",
        f"context . → {address}",
    ]


def test_an_image_that_is_built_twice_is_there_twice():
    found = read(text(BUILD, step(["build", "-t", "eu.gcr.io/acme/tool:7", "sub"])))
    assert [*found.images] == ["eu.gcr.io/acme/tool:7", "eu.gcr.io/acme/tool:7 (step 2)"]


def test_steps_with_the_same_id_are_all_told():
    found = read(text(step(["info"], id="a"), step(["version"], id="a")))
    assert found.unknown == ("step a", "step 2")


def test_a_push_with_its_own_program_may_do_more():
    before = text(step(["build", "-t", X, "."]), step(["push", X]))
    after = text(step(["build", "-t", X, "."]), step(["push", X], entrypoint="docker"))
    assert compare_files(before, after).summary().startswith("step 2 (none) → ")


def test_a_pull_builds_nothing():
    found = read(text(BUILD, step(["pull", "ubuntu"]), step(["push", "other"])))
    assert found.unknown == ()
    assert [*found.options] == ["step 2", "step 3"]


def test_a_parent_without_a_tag_is_the_latest():
    base = step(["build", "-t", "h/base", "."])
    top = step(["build", "-t", "h/top", "--build-arg", "BASE_IMAGE=h/base", "."])
    image = read(text(base, top)).images["h/top:latest"]
    assert (image.parent, image.build_args) == ("h/base:latest", {})


def test_images_that_are_not_built_are_pushed_all_the_same():
    found = read(text(BUILD, images=["eu.gcr.io/acme/tool:7", "other"]))
    assert found.options["images"] == "other:latest"


def test_a_file_that_is_no_build_file_spoils_several():
    assert read(text(BUILD), "no build") is None


@pytest.mark.parametrize("own", ["h/r:1", "other"])
def test_whole_names_are_found_in_every_file(own):
    file = text(step(["build", "-t", "h/r:1", "."], id=own), step(["push", "h/r:1"]))
    assert reference_names(file) == ("h/r:1",)
    assert image_names(file) == (("1",) if own == "h/r:1" else ("h/r:1",))


def test_digests_and_ports_are_no_tags():
    names = ["h:5000/a", "h/a@sha256:0", "h/a:1"]
    found = read(text(*(step(["build", "-t", name, "."]) for name in names)))
    assert [*found.images] == ["h:5000/a:latest", "h/a@sha256:0", "h/a:1"]


def test_a_step_without_the_build_s_substitutions_says_so():
    (image,) = read(text(BUILD | {"automapSubstitutions": False})).images.values()
    assert image.options["automapSubstitutions"] == "false"


def test_of_two_names_of_one_parent_the_first_is_named():
    base = step(["build", "-t", "r:a", "-t", "r:b", "."], id="r:a")
    args = ["--build-arg", "BASE_IMAGE=r:b", "--build-arg", "OTHER=r:a"]
    found = read(text(base, step(["build", "-t", "r:c", *args, "."], id="r:c"))).images["c"]
    assert (found.parent, found.build_args) == ("b", {"OTHER": "r:a"})


@pytest.mark.parametrize(
    ("wait_for", "parent", "told"),
    [(["step 1"], "r:a", None), ([""], None, "everything before")],
)
def test_a_step_without_an_id_is_waited_for_by_its_number(wait_for, parent, told):
    first = step(["build", "-t", "r:a", "."])
    found = read(text(first, step(["build", "-t", "r:b", "."], waitFor=wait_for))).images["r:b"]
    assert (found.parent, found.options.get("waits for")) == (parent, told)


TEST = "gcr.io/gcp-runtimes/container-structure-test"
STEPS = (
    step(["build", "-t", "r:a", "-f", "D", "."], id="r:a", waitFor=["-"]),
    step(["build", "-t", "r:a", "-t", "r:b", "--build-arg", "A=1", "."], id="r:a"),
    step(["build", "-t", "r:b", "--build-arg", "BASE_IMAGE=r:a", "."], id="r:b", waitFor=["r:a"]),
    step(["build", "-t", "r:c", "--build-arg", "X=r:b", "--build-arg", "Y=r:a", "."], id="r:c"),
    step(["build", "-t", "r:d", "--label", "l=$_TAG", "."], id="r:d", waitFor=["r:b", "t"]),
    step(["build", "-t", "r:$_TAG", "--cache-from", "r:$_TAG", "sub"], dir="in/$_TAG"),
    step(["build", "-t", "r:e", "--build-arg", "X=r:b", "--build-arg", "Y=r:a", "."], id=""),
    step(["build", "-t", "other", "--build-arg", "BASE=r", "."]),
    step(["buildx", "build", "--push", "--tag=r:a", "--build-arg", "-t", "."], id="x"),
    step(["push", "r:a"], waitFor=["r:a"]),
    step(["push", "r:b"], entrypoint="docker"),
    step(["push", "r:$_TAG"]),
    step(["push", "--all-tags", "r"]),
    step(["pull", "r:b"], id="r:b"),
    step(["--image", "r:a", "--config", "t.yaml"], TEST, id="t"),
    step(["--image", "r:a", "--config", "$_TAG.yaml"], TEST),
    {"name": "ubuntu", "script": "docker push r:a"},
    {"name": "$_TAG", "args": ["build", "-t", "r:a", "."]},
)
BUILDS = st.fixed_dictionaries(
    {"steps": st.lists(st.sampled_from(STEPS), min_size=1, max_size=8)},
    optional={
        "substitutions": st.sampled_from([{"_TAG": "a"}, {"_TAG": "b"}]),
        "images": st.lists(st.sampled_from(["r:a", "r:b", "r:$_TAG"]), max_size=2),
    },
)


@given(st.lists(BUILDS, min_size=2, max_size=4), st.lists(st.booleans(), min_size=4, max_size=4))
def test_what_was_read_of_another_build_changes_nothing(builds, indented):
    known = Known()
    for build, is_indented in zip(builds, indented, strict=False):
        written = json.dumps(build, indent=2 if is_indented else None)
        found = read_build(written, known=known)
        alone = read(written)
        shared = msgspec.structs.replace(of_build(found, known), order=of_build(found).order)
        # As text, in which the order of images, options and build args counts, too.
        assert msgspec.json.encode(shared) == msgspec.json.encode(alone)


@given(BUILDS, st.data())
def test_leaving_out_what_is_the_same_changes_nothing(build, data):
    steps = data.draw(st.permutations([*build["steps"], *data.draw(BUILDS)["steps"]]))
    kept = data.draw(st.integers(0, len(steps)))
    texts = [json.dumps(one) for one in (build, build | {"steps": steps[:kept]})]
    known = Known()
    builds = [read_build(one, known=known) for one in texts]
    whole = Pair(tuple(builds), known, *(of_build(one, known) for one in builds))
    assert compare_builds(pair(*builds, known)) == compare_builds(whole)
    # The same with the files of two trees.
    trees = [Tree(content) for content in data.draw(st.sampled_from(["11", "12"]))]
    files = [files_of(one, known, tree) for one, tree in zip(builds, trees, strict=True)]
    sides = zip(files, (whole.before, whole.after), strict=True)
    whole = Pair(tuple(builds), known, *(one.added_to(side) for one, side in sides))
    assert compare_builds(pair(*builds, known, files)) == compare_builds(whole)


def test_a_child_is_rebuilt_whichever_names_are_shown():
    child = step(["build", "-t", "r:b", "--build-arg", "BASE=r:a", "."], id="r:b")
    old, new = (step(["build", "-t", "r:a", "--build-arg", f"A={n}", "."], id="r:a") for n in "12")
    other = step(["build", "-t", "q:x", "."], id="q:x")
    short = compare_files(text(old, child), text(new, child))
    assert (short.removed, [*short.changed], short.rebuilt) == ((), ["a"], {"b": "a"})
    # With a second repository, names are whole.
    long = compare_files(text(old, child), text(new, child, other))
    assert (long.added, [*long.changed], long.rebuilt) == (("q:x",), ["r:a"], {"r:b": "r:a"})
    back = compare_files(text(old, child, other), text(new, child))
    assert (back.removed, [*back.changed], back.rebuilt) == (("q:x",), ["r:a"], {"r:b": "r:a"})


@pytest.mark.parametrize(
    ("more", "others", "told"),
    [
        (["-t", "r:x"], ([], []), "parent (none) → x"),
        (["--build-arg", "A=1"], ([], ["test"]), "test (none) → t.yaml"),
        (["--build-arg", "A=1"], (["test"], []), "test t.yaml → (none)"),
        (["--build-arg", "A=1"], (["push"], []), "pushed yes → no"),
    ],
)
def test_what_other_steps_say_of_an_image_is_told_beside_another_change(more, others, told):
    """The step that builds it is the same."""
    image = step(["build", "-t", "r:b", "--build-arg", "BASE=r:x", "."], id="r:b", waitFor=["-"])
    steps = {
        "test": step(["--image", "r:b", "--config", "t.yaml"], TEST, waitFor=["r:b"]),
        "push": step(["push", "r:b"], waitFor=["r:b"]),
    }
    before, after = (
        text(
            step(["build", "-t", "r:a", *args, "."], id="r:a", waitFor=["-"]),
            image,
            *map(steps.get, names),
        )
        for args, names in zip(([], more), others, strict=True)
    )
    assert told in map(str, compare_files(before, after).changed["b"])


def test_a_child_is_rebuilt_wherever_its_parent_stands():
    child = step(["build", "-t", "r:b", "--build-arg", "BASE=r:a", "."], id="r:b")
    old, new = (step(["build", "-t", "r:a", "--build-arg", f"A={n}", "."], id="r:a") for n in "12")
    assert compare_files(text(child, old), text(child, new)).rebuilt == {"b": "a"}


def test_images_that_are_pushed_at_the_end_have_an_order_too():
    builds = [step(["build", "-t", name, "."], id=name) for name in ("r:a", "r:b")]
    texts = [text(*builds, images=images) for images in (["r:a", "r:b"], ["r:b", "r:a"])]
    assert compare_files(*texts).summary() == ORDER
    # The same of inventories, of which a recorded run has nothing else.
    assert compare(*map(read, texts)).summary() == ORDER


def test_steps_of_other_builds_are_waited_for_as_they_were():
    """Reading a set of files, which pull from each other, leaves their steps as they are."""
    pull = step(["pull", "r:a"], id="r:a-pull")
    child = step(
        ["build", "-t", "r:b", "--build-arg", "BASE_IMAGE=r:a", "."],
        id="r:b",
        waitFor=["r:a-pull"],
    )
    parts = [text(STEPS[0]), text(pull, child)]
    known = Known()
    both = of_build(read_build(*parts, known=known), known)
    alone = of_build(read_build(parts[1], known=known), known)
    assert both.images["b"].options == {"pushed": "no"}
    assert alone.images["b"].options == read(parts[1]).images["b"].options
