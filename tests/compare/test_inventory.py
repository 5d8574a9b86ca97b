import json

import pytest

import imagekit
from imagekit import api
from imagekit.compare import inventory
from imagekit.compare.changes import compare
from imagekit.compare.inventory import ImageSpec, Inventory, image_names
from imagekit.document.cloudbuild import STRUCTURE_TEST
from imagekit.planning.rows import plain, rows

DOCKER = "gcr.io/cloud-builders/docker"


def step(*args, **more):
    """A step as imagekit writes it: one that builds has the name of its image as its id."""
    own = {"id": args[2]} if args[:2] == ("build", "-t") else {}
    return {"name": DOCKER, "args": list(args), "waitFor": ["-"], **own, **more}


def read(*steps, **whole):
    return inventory.read(json.dumps({"steps": list(steps), **whole}))


def only(*args, **more):
    (made,) = read(step("build", "-t", "h/r:a", *args, "."), **more).images.values()
    return made


def test_what_a_build_step_says():
    made = only("-t", "h/r:b", "-f", "D", "--build-arg", "A=x=y", "--build-arg=B=$$HOME", "--pull")
    assert made == ImageSpec(
        dockerfile="D",
        build_args={"A": "x=y", "B": "$HOME"},
        aliases=("b",),
        options={"--pull": "yes", "pushed": "no"},
    )


def test_of_two_images_of_the_build_the_first_is_the_parent():
    args = ("--build-arg", "BASE=h/r:b", "--build-arg", "OTHER=h/r:a")
    bases = [step("build", "-t", f"h/r:{name}", ".") for name in "ab"]
    made = read(*bases, step("build", "-t", "h/r:c", *args, ".", waitFor=["h/r:a"])).images["c"]
    assert (made.parent, made.build_args) == ("a", {"BASE": "h/r:b"})


def test_the_build_arg_of_the_inline_cache_is_none_of_the_image_s_own():
    assert only("--build-arg", "BUILDKIT_INLINE_CACHE=1", "--build-arg", "A=1").build_args == {
        "A": "1"
    }


def test_options_that_are_given_several_times():
    made = only("--secret", "id=a", "--secret", "id=b", "--label", "l=1", "--label", "m=2")
    assert made.options["--secret"] == "id=a, id=b"
    assert (made.options["label l"], made.options["label m"]) == ("1", "2")


def test_without_a_file_the_context_s_own_dockerfile_is_meant():
    found = read(step("build", "--tag=h/r:a", "sub/context", dir="top", id="h/r:a"))
    assert found.images["a"].dockerfile == "top/sub/context/Dockerfile"
    assert found.images["a"].options["context"] == "top/sub/context"


def test_an_image_is_pushed_by_a_step_or_by_the_images_field():
    build = step("build", "-t", "h/r:a", ".")
    assert "pushed" not in read(build, step("push", "h/r:a")).images["a"].options
    assert "pushed" not in read(build, images=["h/r:a"]).images["a"].options
    assert read(build).images["a"].options["pushed"] == "no"


def test_a_parent_is_named_or_waited_for():
    base = step("build", "-t", "h/r:base", ".")
    named = step("build", "-t", "h/r:x", "--build-arg", "ON=h/r:base", ".", waitFor=["h/r:base"])
    waits = step("build", "-t", "h/r:y", ".", waitFor=["h/r:base"])
    found = read(base, named, waits)
    assert (found.images["x"].parent, found.images["y"].parent) == ("base", "base")
    assert found.images["x"].build_args == {}
    assert "waits for" not in found.images["y"].options


def test_a_step_that_waits_for_everything_before():
    made = read(step("build", "-t", "h/r:a", ".", waitFor=[])).images["a"]
    assert made.options["waits for"] == "everything before"


def test_tests_belong_to_the_image_that_they_test():
    tested = {"name": STRUCTURE_TEST, "waitFor": ["-"]}
    a = tested | {"args": ["test", "--image", "h/r:a", "--config", "one", "--config", "two"]}
    odd = tested | {"args": ["test", "--image", "h/r:b"]}
    found = read(step("build", "-t", "h/r:a", "."), step("build", "-t", "h/r:b", "."), a, odd)
    assert found.images["a"].test == ("one", "two")
    assert found.images["b"].test == ("test --image h/r:b",)


@pytest.mark.parametrize(
    ("names", "repository"),
    [
        (["h:5000/r:a", "h:5000/r:b"], "h:5000/r"),
        (["h/r:a", "h/s:a"], None),
        (["h:5000/r:latest"], "h:5000/r"),
        ([], None),
    ],
)
def test_the_repository_is_what_all_names_share(names, repository):
    found = read(*(step("build", "-t", name, ".") for name in names))
    assert found.repository == repository
    assert list(found.whole_names().images) == names


def test_whole_names_reach_parents_and_aliases():
    images = {
        "a": ImageSpec(dockerfile="D"),
        "b": ImageSpec(dockerfile="D", parent="a", aliases=("c",)),
    }
    whole = Inventory(repository="r", images=images).whole_names().images
    assert (whole["r:b"].parent, whole["r:b"].aliases) == ("r:a", ("r:c",))
    assert whole["r:a"].parent is None


def test_yaml_is_read_too():
    text = "steps:\n- name: docker\n  args: [build, -t, 'r:a', .]\n  waitFor: ['-']\n"
    assert list(inventory.read(text).images) == ["r:a"]


@pytest.mark.parametrize("step", [{"args": ["pull", "x"]}, {"id": 1}])
def test_a_build_that_makes_no_image(step):
    found = read(step)
    assert (found.images, list(found.options)) == ({}, ["step 1"])


def test_options_may_stand_behind_the_context():
    made = only("--network", "host").options
    found = read({"name": DOCKER, "args": ["build", "-t", "h/r:a", ".", "--squash"]})
    assert found.images["h/r:a"].options["--squash"] == "yes"
    assert "context" not in found.images["h/r:a"].options | made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [",
        "{",
        "[]",
        "{}",
        '{"steps": 1}',
        '{"steps": [1]}',
    ],
)
def test_what_is_no_build_file_has_no_inventory(text):
    assert inventory.read(text) is None


@pytest.mark.parametrize("name", ["images.yaml", "caliban.json"])
def test_a_plan_s_rows_say_the_same_as_its_document(name, family):
    config = imagekit.load(family / "config" / name)
    plan = imagekit.plan(config)
    whole = inventory.of_plan(plan, config.cloudbuild)
    built = [
        {key: getattr(row, key) for key in row.__struct_fields__}
        for row in rows(imagekit.matrix(config), plan)
    ]
    found = inventory.of_rows({"repository": plan.repository, "rows": built})
    for tag, made in whole.images.items():
        assert found.images[tag].build_args == made.build_args
        assert found.images[tag].parent == made.parent
        assert found.images[tag].options is None
    assert found.images.keys() == whole.images.keys()


def test_a_build_arg_has_the_value_of_its_substitution():
    found = read(
        step("build", "-t", "h/r:a", "--build-arg", "A=${_A}/$_A", "--build-arg", "B=$${_A}", "."),
        substitutions={"_A": "1"},
    )
    assert found.images["a"].build_args == {"A": "1/1", "B": "${_A}"}


def test_a_plan_that_no_split_can_mend_has_an_inventory(config_file):
    text = "base_url: h/r\npython_versions: {a: {}, b: {}}\nimages: [{python: [a, b]}]\n"
    text += "cloudbuild: {limits: {steps: 2}, publish: together}"
    config = imagekit.load(config_file(text))
    found = inventory.of_plan(imagekit.plan(config), config.cloudbuild)
    assert list(found.images) == [
        "cpu-a",
        "cpu-b",
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"steps": [{"name": "gcr.io/cloud-builders/docker", "args": ["build", "-t", "a/b:$_X"]}]}',
        '{"steps": [{"name": "x", "args": ["build", "-t", "a/b:1"]}, {"args": 5}]}',
        '{"steps": [{"name": "x", "args": ["build", "."]}]}',
        '{"steps": [{"name": "gcr.io/cloud-builders/docker", "entrypoint": "x", '
        '"args": ["build", "-t", "a/b:1", "."]}]}',
        '{"steps": [{"name": "gcr.io/cloud-builders/docker", '
        '"args": ["build", "-t", "a/b:1", "."]}]}',
        "steps: [{name: x, args: [build, -t, a/b:1, .]}]",
        "no build file",
    ],
)
def test_names_that_are_found_quickly_are_those_that_are_read(text):
    assert image_names(text) == tuple((inventory.read(text) or Inventory()).images)


def test_labels_and_other_options_are_read():
    args = '[build, -t, "a/b:1", --label, k=v, --network, host, .]'
    text = f"steps: [{{name: gcr.io/cloud-builders/docker, args: {args}}}]"
    options = {"label k": "v", "--network": "host"}
    assert inventory.read(text).images["a/b:1"].options == {
        **options,
        "waits for": "everything before",
        "pushed": "no",
    }


def test_a_cache_of_the_image_itself_is_named():
    args = '[build, -t, "a/b:1", --cache-from, "a/b:1", .]'
    text = f"steps: [{{name: gcr.io/cloud-builders/docker, args: {args}}}]"
    assert inventory.read(text).images["a/b:1"].options["cache"] == "registry"


LAYERS = """
base_url: example.com/p
axes: {python: {py: {P: 1}}}
recipes:
  base: {dockerfile: D, axes: python, repository: base, tags: ["{python}", "{python}-{date}"]}
  top: {dockerfile: D, parent: base, repository: top, tag: "{python}", parent_arg: PARENT}
images: [{python: py, recipe: top}]
"""


def test_rows_of_several_repositories_are_those_of_the_plan(config_file):
    checked = api.check(config_file(LAYERS))
    lines = plain(rows(checked.matrix, checked.plan), checked.matrix.recipes.axes)
    of_rows = inventory.of_rows({"repository": "example.com/p", "rows": lines})
    of_plan = inventory.of_plan(checked.plan, checked.config.cloudbuild)
    assert [*of_rows.images] == ["example.com/p/base:py", "example.com/p/top:py"]
    assert not compare(of_rows, of_plan)


def test_a_tag_with_a_date_is_in_the_repository_of_the_others(config_file):
    text = LAYERS[: LAYERS.index("  top:")].replace("repository: base, ", "")
    checked = api.check(config_file(text + "images: [{python: py}]"))
    found = inventory.of_plan(checked.plan, checked.config.cloudbuild)
    assert (found.repository, [*found.images]) == ("example.com/p", ["py"])


def test_another_name_of_the_parent_s_build_arg_is_a_change(config_file):
    before, after = (
        api.check(config_file(LAYERS.replace("PARENT", name))) for name in ("PARENT", "OTHER")
    )
    found = compare(
        *(inventory.of_plan(one.plan, one.config.cloudbuild) for one in (before, after))
    )
    (difference,) = found.changed["example.com/p/top:py"]
    assert str(difference) == "parent passed as PARENT → OTHER"
    assert difference.rebuilds


def test_two_plans_share_the_steps_that_both_have(config_file):
    text = """
base_url: h/r
base_images: {u: {BASE_IMAGE: u}}
python_versions: {p1: {P: 1}, p2: {P: 2}}
images: [{base_image: u, python: [p1, p2]}]
"""
    known = inventory.Known()
    loaded = (imagekit.load(config_file(t)) for t in (text, text.replace("P: 2", "P: 3")))
    first, second = (
        inventory.plan_build(imagekit.plan(config), config.cloudbuild, known) for config in loaded
    )
    shared = {id(step) for step in first.steps} & {id(step) for step in second.steps}
    assert len(shared) == len(first.steps) - 1
