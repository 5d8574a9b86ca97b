"""What is installed of a directory, from which files and in which order."""

import pytest

from imagekit.errors import ConfigError
from imagekit.project import commands

PACKAGE = """
[project]
name = "My_Thing"
dependencies = ["a"]
[project.optional-dependencies]
gpu = ["g"]
cpu = ["c"]
x = ["ex"]
[build-system]
requires = ["hatchling"]
"""


def shell(steps):
    """The commands of steps, one a line."""
    return [
        " ".join(command.replace("\\\n", "").split()) for step in steps for command in step.commands
    ]


def test_extras_are_those_of_the_mode_and_those_that_are_named(read):
    found = read({"pyproject.toml": PACKAGE})
    assert shell(found.before) == ["uv pip install -r pyproject.toml --extra cpu"]
    assert read({"pyproject.toml": PACKAGE}, mode="gpu").extras == ("gpu",)
    found = read({"pyproject.toml": PACKAGE}, extras=("x",))
    assert found.extras == ("x", "cpu")
    assert shell(found.after) == ["uv pip install --no-deps '/mnt/source[x,cpu]'"]
    assert "pyproject.toml: left aside: the extra gpu; --extra installs one" in found.notes


def test_an_extra_or_a_group_that_there_is_not(read):
    with pytest.raises(ConfigError, match=r"no extra 'xx' in .*; did you mean 'x'\?"):
        read({"pyproject.toml": PACKAGE}, extras=("xx",))
    with pytest.raises(ConfigError, match=r"no extra 'y' in [^;]*; available: cpu, gpu, x"):
        read({"pyproject.toml": PACKAGE}, extras=("y",))
    with pytest.raises(ConfigError, match=r"no dependency group 'x' in [^;]*; it is an extra, see"):
        read({"pyproject.toml": PACKAGE}, groups=("x",))
    with pytest.raises(ConfigError, match=r"no dependency group 'y' in [^;]*$"):
        read({"pyproject.toml": PACKAGE}, groups=("y",))
    with pytest.raises(ConfigError, match=r"no extra 'prod' in [^;]*; it is a group, see --group"):
        read({"pyproject.toml": GROUPS.format("[]")}, extras=("prod",))


GROUPS = """
[project]
name = "x"
[dependency-groups]
prod = ["django"]
dev = ["pytest"]
[tool.uv]
default-groups = {}
"""


@pytest.mark.parametrize("default", ['["prod"]', '"all"', '["dev", "prod"]'])
def test_uvs_default_groups_are_installed_but_not_that_for_development(read, default):
    found = read({"pyproject.toml": GROUPS.format(default)})
    assert shell(found.before) == ["uv pip install -r pyproject.toml --group prod"]
    assert "pyproject.toml: left aside: the group dev; --group installs one" in found.notes


def test_groups_alone_are_left_aside_aloud(read):
    found = read({"pyproject.toml": GROUPS.format("[]")})
    assert found.before == ()
    assert found.notes == (
        "pyproject.toml: dependencies",
        "pyproject.toml: left aside: the groups dev, prod; --group installs one",
    )
    assert read({"pyproject.toml": GROUPS.format("[]")}, groups=("dev",)).groups == ("dev",)


def test_groups_without_a_project(read):
    found = read({"pyproject.toml": GROUPS.format('["prod"]').replace('[project]\nname = "x"', "")})
    assert shell(found.before) == ["uv pip install --group prod"]
    assert found.files == ("pyproject.toml",)


def test_everything_that_uv_reads_is_one_installation(read):
    files = {
        "pyproject.toml": "[project]\nname = 'a'\ndependencies = ['a']\n",
        "requirements.txt": "--pre\n./libs\nc\n",
        "libs/pyproject.toml": "[project]\nname = 'libs'\n",
        "environment.yml": "dependencies: [{pip: [d, -r more.txt, '-fhttps://e']}]\n",
        "more.txt": "e\n",
        "apt.txt": "bc jq # z\njq\n",
    }
    found = read(files)
    assert shell(found.before) == [
        "uv pip install -r pyproject.toml --pre --refresh -r requirements.txt d -r more.txt "
        "-f https://e"
    ]
    assert found.files == ("requirements.txt", "more.txt", "pyproject.toml")
    assert (found.folders, found.apt, found.names) == (
        ("libs",),
        ("bc", "jq"),
        ("a", "c", "d", "e"),
    )
    assert found.after == ()


def test_the_directory_itself_is_installed_where_a_requirement_says_so(read):
    files = {"pyproject.toml": PACKAGE, "requirements.txt": "rich\n-e .[x]\n"}
    found = read(files)
    assert shell(found.before) == [
        "sed -i -e 2,2d requirements.txt",
        "uv pip install -r pyproject.toml --extra cpu --extra x -r requirements.txt",
    ]
    assert shell(found.after) == ["uv pip install --no-deps -e '.[cpu,x]'"]
    with pytest.raises(ConfigError, match="is the directory itself, which is not a package"):
        read({"requirements.txt": "-e .\n", "pyproject.toml": "[tool.x]\n"})


COMPUTED = "from setuptools import setup\nsetup(install_requires=open('base.txt').read().split())\n"


def test_what_only_a_build_knows_is_installed_before_the_code_if_it_tells(read):
    found = read({"setup.py": COMPUTED, "base.txt": "six\n", "requirements.txt": "a\n"})
    assert found.files == ("requirements.txt", "base.txt", "setup.py")
    assert shell(found.before) == [
        "{ uv pip install -r setup.py -r requirements.txt || uv pip install -r requirements.txt; }",
        "rm -rf ./*.egg-info ./*/*.egg-info build",
    ]
    assert shell(found.after) == ["uv pip install /mnt/source -r requirements.txt"]


def test_a_setup_cfg_alone_gets_the_setup_py_that_uv_needs(read):
    found = read(
        {"setup.cfg": "[options]\ninstall_requires = six\n[options.extras_require]\nx = a\n"},
        extras=("x",),
    )
    make = "echo 'from setuptools import setup; setup()' > "
    assert shell(found.before)[0] == f"{make}setup.py"
    assert "uv pip install -r setup.py --extra x" in shell(found.before)[1]
    assert "rm setup.py" in shell(found.before)
    assert shell(found.after) == [f"{make}/mnt/source/setup.py", "uv pip install '/mnt/source[x]'"]
    assert found.names == ("six",)


@pytest.mark.parametrize(
    ("text", "extra", "message"),
    [
        ("extras_require={\":sys_platform == 'linux'\": ['u'], \"x:os_name\": ['o']}", "x", None),
        ("extras_require={'a': []}", "x", "no extra 'x'"),
        ("extras_require=read()", "x", None),
        ("extras_require={name: []}", "x", None),
        ("**arguments", "x", None),
        ("install_requires=['a']", "x", "no extra 'x'"),
    ],
)
def test_the_extras_of_a_setup_py(read, text, extra, message):
    files = {"setup.py": f"from setuptools import setup\nsetup({text})\n"}
    if message:
        with pytest.raises(ConfigError, match=message):
            read(files, extras=(extra,))
    else:
        assert read(files, extras=(extra,)).extras == ("x",)


@pytest.mark.parametrize(
    ("pyproject", "built"),
    [
        (
            '[build-system]\nrequires = ["poetry-core"]\n[tool.poetry]\npackage-mode = false\n',
            False,
        ),
        ('[build-system]\nrequires = ["x"]\n[tool.uv]\npackage = false\n', False),
        ("[tool.uv]\npackage = true\n", True),
        ('[build-system]\nrequires = ["x"]\n[tool.pdm]\ndistribution = false\n', False),
        ('[build-system]\nrequires = ["x"]\n', True),
        ("", False),
    ],
)
def test_what_is_a_package(read, pyproject, built):
    text = f"[project]\nname = 'x'\ndependencies = ['six']\n{pyproject}"
    assert bool(read({"pyproject.toml": text}).after) == built


def test_a_package_beside_setup_py_is_built_with_it(read):
    found = read({"pyproject.toml": "[project]\nname='x'\n", "setup.py": "import x"})
    assert shell(found.after) == ["uv pip install --no-deps /mnt/source"]
    assert "setup.py: the package, built with the code" in found.notes


def test_files_that_a_build_refers_to(read):
    setup = """
import os.path, versioneer
from tools.meta import x
here = os.path.join("pkg", "version.py")
setup(name=open("/README.md"), install_requires=open('requirements/base.txt').read())
"""
    made = {
        "setup.py": setup,
        "setup.cfg": "[metadata]\nlong_description = file: LONG.rst\n",
        "pyproject.toml": '[build-system]\nrequires = []\n[tool.x]\ny = [{z = "hook.toml"}]\n',
    }
    named = (
        "README.md",
        "requirements/base.txt",
        "pkg/version.py",
        "versioneer.py",
        "tools/meta.py",
        "LONG.rst",
        "hook.toml",
    )
    files = read(made | dict.fromkeys(named, "") | {"other.txt": "", "pkg/code.py": ""}).files
    assert set(files) == {*named, *made}


# ---- locks

UV_LOCK = """
version = 1
[[package]]
name = "a"
source = { editable = "libs/a" }
[[package]]
name = "self"
source = { virtual = "." }
[[package]]
name = "w"
source = { path = "w.whl" }
[[package]]
name = "six"
source = { registry = "https://example.com/simple" }
"""
STATIC = "[project]\nname = '{}'\nversion = '1'\n"


def test_a_uv_lock_is_synced_and_local_packages_wait_for_the_code(read):
    files = {"pyproject.toml": STATIC.format("self"), "uv.lock": UV_LOCK, "w.whl": ""}
    files |= {
        "libs/a/pyproject.toml": STATIC.format("a"),
        "libs/a/a.py": "",
        "requirements.txt": "x\n",
    }
    found = read(files)
    assert found.files == ("uv.lock", "pyproject.toml", "libs/a/pyproject.toml", "w.whl")
    assert shell(found.before) == ["uv sync --locked --inexact --no-dev --no-install-local"]
    assert shell(found.after) == [
        "cd /mnt/source",
        "uv sync --locked --inexact --no-dev --no-editable --refresh-package=a",
    ]
    assert "requirements.txt: left aside; uv.lock took its place" in found.notes
    dynamic = STATIC.format("a") + "dynamic = ['dependencies']\n"
    found = read(files | {"libs/a/pyproject.toml": dynamic})
    assert "--frozen" in shell(found.before)[0]
    with pytest.raises(ConfigError, match=r"\./\.\./b is outside the directory"):
        read(files | {"uv.lock": UV_LOCK.replace("libs/a", "../b")})


WORKSPACE = "[tool.uv.workspace]\nmembers = ['members/*', '../out']\n"


def test_a_workspace_is_installed_as_a_whole_or_by_packages(read):
    files = {"pyproject.toml": WORKSPACE, "uv.lock": "version = 1\n"}
    files["members/a/pyproject.toml"] = STATIC.format("a")
    found = read(files)
    assert found.files == ("uv.lock", "pyproject.toml", "members/a/pyproject.toml")
    assert "--all-packages" in shell(found.before)[0]
    assert "--package=a" in shell(read(files, members=("a",)).before)[0]


def test_a_workspace_without_a_lock_and_a_package_without_a_workspace(read):
    with pytest.raises(ConfigError, match="workspace is installed from its lock file; run uv lock"):
        read({"pyproject.toml": WORKSPACE})
    with pytest.raises(ConfigError, match="--package is for a uv workspace"):
        read({"pyproject.toml": STATIC.format("a")}, members=("x",))


def test_a_member_of_a_workspace_is_not_taken_for_a_project(read, tmp_path):
    workspace = tmp_path.parent / "pyproject.toml"
    workspace.write_text(f"[tool.uv.workspace]\nmembers = ['{tmp_path.name}']\n")
    try:
        with pytest.raises(ConfigError, match=r"is a member of the uv workspace in .*--package a"):
            read({"pyproject.toml": STATIC.format("a")})
        for other in ("members = ['*/*']", f"members = ['**']\nexclude = ['{tmp_path.name}']"):
            workspace.write_text(f"[tool.uv.workspace]\n{other}\n")
            assert read({}).before == ()
        workspace.write_text("broken")
        assert read({}).notes == ("pyproject.toml: dependencies", "no dependencies are declared")
    finally:
        workspace.unlink()


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "pdm.lock"])
def test_a_lock_of_no_project(read, name):
    with pytest.raises(ConfigError, match=rf"{name} is of no use without pyproject.toml"):
        read({name: ""})


def test_a_pylock_of_any_name(read):
    pylock = "[[packages]]\nname = 'a'\ndirectory = {path = 'libs'}\n"
    found = read({"pylock.prod.toml": pylock, "libs/x": "", "pyproject.toml": PACKAGE})
    assert shell(found.before) == ["uv pip install -r pylock.prod.toml --extra cpu"]
    assert shell(found.after) == ["uv pip install --no-deps '/mnt/source[cpu]'"]
    assert (found.files, found.folders) == (("pylock.prod.toml",), ("libs",))
    both = {"pylock.gpu.toml": "", "pylock.cpu.toml": ""}
    found = read(both, mode="gpu", ignored=("pylock.prod.toml", "pyproject.toml"))
    assert found.files == ("pylock.gpu.toml",)
    assert "pylock.cpu.toml: left aside; pylock.gpu.toml took its place" in found.notes


def test_of_two_pylocks_one_has_to_be_chosen(read):
    with pytest.raises(ConfigError, match=r"pylock.a.toml and pylock.b.toml are lock files; pass"):
        read({"pylock.a.toml": "", "pylock.b.toml": ""})


POETRY = """
[tool.poetry]
name = "p"
[tool.poetry.dependencies]
python = "^3.11"
six = "*"
helper = {path = "libs/helper"}
[tool.poetry.extras]
x = ["six"]
[tool.poetry.group.docs.dependencies]
sphinx = "*"
[tool.poetry.dev-dependencies]
pytest = "*"
"""


def run_of(steps, tool):
    """What a program is told to do, without how it is run."""
    return [line.partition(f" {tool} ")[2] for line in shell(steps) if f" {tool} " in line]


def test_poetry_installs_its_projects(read):
    files = {
        "pyproject.toml": POETRY,
        "libs/helper/x": "",
        "poetry.toml": "",
        "requirements.txt": "a",
    }
    found = read(files, extras=("x",), groups=("docs",))
    options = "--with-credentials --extras x --with docs"
    export = f'export -f requirements.txt {options} -o "$TMPDIR/requirements.txt"'
    assert run_of(found.before, "poetry") == ["lock", export]
    assert shell(found.before)[-1] == "rm poetry.lock"
    assert (found.files, found.folders) == (("pyproject.toml", "poetry.toml"), ("libs/helper",))
    assert "pyproject.toml: left aside: the group dev; --group installs one" in found.notes
    assert "requirements.txt: left aside; pyproject.toml took its place" in found.notes
    assert found.after == ()
    lock = '[[package]]\nname = "helper"\nsource = {type = "directory", url = "libs/helper"}\n'
    found = read({**files, "poetry.lock": lock})
    assert run_of(found.before, "poetry")[0].startswith("export")
    assert "poetry.lock" in found.files
    assert "rm poetry.lock" not in shell(found.before)
    with pytest.raises(ConfigError, match="libs/no: no such file or directory"):
        read({**files, "poetry.lock": lock.replace("helper", "no")})


PDM = STATIC.format("p") + "[[tool.pdm.source]]\nurl = 'https://example.com/${TOKEN}/simple'\n"


def test_pdm_installs_its_projects(read):
    found = read({"pyproject.toml": PDM})
    assert run_of(found.before, "pdm") == [
        "lock",
        'export -f requirements --prod -o "$TMPDIR/requirements.txt"',
    ]
    assert (found.secrets, found.has_index) == (("TOKEN",), True)
    lock = '[[package]]\npath = "./libs"\n'
    found = read({"pyproject.toml": PDM, "pdm.lock": lock, "pdm.toml": "", "libs/x": ""})
    assert run_of(found.before, "pdm")[0] == "lock --check"
    assert (found.files, found.folders) == (("pyproject.toml", "pdm.lock", "pdm.toml"), ("libs",))
    grouped = PDM + "[tool.pdm.dev-dependencies]\ntest = ['a']\nlint = ['b']\n"
    found = read({"pyproject.toml": grouped}, groups=("test",), ignored=("pdm.lock",))
    export = 'export -f requirements -d -G test -o "$TMPDIR/requirements.txt"'
    assert run_of(found.before, "pdm") == ["lock", export]
    assert "pyproject.toml: left aside: the group lint; --group installs one" in found.notes


PIPFILE = """
[packages]
six = "*"
lib = {path = "./lib"}
me = {path = ".", editable = true, extras = ["x"]}
[dev-packages]
pytest = "*"
[docs]
sphinx = "*"
"""


def test_pipenv_installs_a_pipfile_and_its_lock(read):
    files = {"Pipfile": PIPFILE, "lib/x": "", "setup.py": "from setuptools import setup\nsetup()\n"}
    found = read(files)
    to = '> "$TMPDIR/requirements.txt"'
    assert run_of(found.before, "pipenv") == [f"requirements --from-pipfile --no-lock {to}"]
    assert shell(found.after) == ["uv pip install -e '.[x]'"]
    assert (found.files[0], found.folders) == ("Pipfile", ("lib",))
    assert not any("unsafe" in line for line in shell(found.before))
    locked = read({**files, "Pipfile.lock": '{"default": {}}'}, groups=("docs",))
    assert run_of(locked.before, "pipenv") == [
        "verify",
        f"requirements --hash --categories 'packages docs' {to}",
    ]
    assert run_of(read(files, groups=("dev",)).before, "pipenv")[-1].endswith(f"--dev {to}")
    assert "Pipfile: left aside: the groups dev, docs; --group installs one" in found.notes


def test_a_lock_of_pipenv_alone(read):
    found = read({"Pipfile.lock": '{"default": {"six": {}}}', "requirements.txt": "a\n"})
    assert (found.names, found.files) == (("six",), ("Pipfile.lock",))
    assert "requirements.txt: left aside; Pipfile.lock took its place" in found.notes
    with pytest.raises(ConfigError, match=r"Pipfile.lock:1:1: invalid JSON; run pipenv lock"):
        read({"Pipfile.lock": "{"})


def test_programs_are_pinned():
    for tool in (commands.POETRY, commands.PDM, commands.PIPENV):
        assert all("==" in requirement for requirement in tool)


# ---- other files


def test_a_scripts_own_dependencies_stay_installed_when_its_code_changes(read):
    script = "#!/usr/bin/env python\n# /// script\n# dependencies = ['rich']\n# ///\nprint({})\n"
    found = read({"tools/job.py": script.format(1)}, script="tools/job.py")
    assert shell(found.before) == [
        "mkdir -p tools",
        """printf '%s\\n' '# /// script' "# dependencies = ['rich']" '# ///' > tools/job.py""",
        "uv pip install -r tools/job.py",
    ]
    assert read({"tools/job.py": script.format(2)}, script="tools/job.py").before == found.before
    found = read({"tools/job.py.lock": ""}, script="tools/job.py")
    assert "uv export -q --locked --script tools/job.py" in shell(found.before)[-1]
    assert found.files == ("tools/job.py.lock",)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("dependencies = [", r"job.py:2:1: invalid inline metadata"),
        ("dependencies = ['a b']", "job.py:2:1: 'a b' is not a valid requirement"),
        ("tool.uv.sources.a.path = '../a'", "job.py:2:1: ../a is outside the directory"),
    ],
)
def test_inline_metadata_that_is_wrong(read, block, message):
    with pytest.raises(ConfigError, match=message):
        read({"job.py": f"\n# /// script\n# {block}\n# ///\n"}, script="job.py")


def test_a_script_that_is_not_run_is_named(read):
    script = "# /// script\n# dependencies = ['rich']\n# ///\n"
    (note,) = read({"job.py": script, "plain.py": ""}, script="plain.py").notes
    assert note == "job.py: its inline dependencies are left aside; --script job.py installs them"


def test_a_cog_yaml(read):
    text = """
build:
  gpu: true
  python_packages: [torch==2.3, -r more.txt]
  python_requirements: more.txt
  system_packages: [ffmpeg]
  run: [curl x]
predict: x.py:P
"""
    found = read({"cog.yaml": text, "more.txt": "six\n"})
    assert shell(found.before) == ["uv pip install torch==2.3 -r more.txt -r more.txt"]
    assert found.apt == ("ffmpeg",)
    assert (
        "cog.yaml: dependencies; it asks for a GPU, see --gpu; left aside: run, predict"
        in found.notes
    )
    with pytest.raises(ConfigError, match="'-x' is not a valid Debian"):
        read({"cog.yaml": "build: {system_packages: [-x]}"})
    with pytest.raises(ConfigError, match="invalid YAML"):
        read({"cog.yaml": "a: ["})


def test_a_binder_folder_counts_before_the_files_beside_it(read):
    files = {
        "binder/requirements.txt": "a\n-e .\n",
        "requirements.txt": "b\n",
        "binder/apt.txt": "bc\n",
    }
    files |= {"binder/postBuild": "", "setup.py": "from setuptools import setup\nsetup()\n"}
    found = read(files)
    assert (found.apt, found.names) == (("bc",), ("a",))
    assert "requirements.txt: left aside; binder took its place" in found.notes
    assert "binder/postBuild: left aside; it is for repo2docker only" in found.notes
    with pytest.raises(ConfigError, match=r"binder and .binder both exist"):
        read({".binder/apt.txt": "bc\n"})
    assert read({}, ignored=("binder",)).apt == ("bc",)


def test_requirements_in_is_what_there_is_without_requirements_txt(read):
    found = read({"requirements.in": "six\n"})
    assert shell(found.before) == ["uv pip install -r requirements.in"]
    found = read({"requirements.txt": "six\n"})
    assert any(note.startswith("requirements.in: left aside;") for note in found.notes)


def test_files_that_nothing_is_installed_from_are_named(read):
    files = {"requirements.txt": "-r requirements/prod.txt\n", "requirements/prod.txt": "six\n"}
    files |= {
        "requirements/dev.txt": "x\n",
        "Aptfile": "",
        "a.ipynb": "",
        "setup.cfg": "[flake8]\n",
    }
    assert read(files).notes == (
        "requirements.txt: dependencies",
        "a.ipynb: a notebook; --notebook starts JupyterLab",
        "requirements/dev.txt: left aside; list it with -r in requirements.txt to install it, too",
        "Aptfile: left aside; list Debian packages in apt.txt",
    )


def test_that_nothing_is_declared_is_said_when_it_is_true(read):
    assert read({"a.py": "", "pyproject.toml": "[tool.ruff]\n"}).notes == (
        "no dependencies are declared",
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"pyproject.toml": "[project]\ndependencies = 'x'\n"},
            ":2:1: dependencies: expected `arr",
        ),
        ({"pyproject.toml": "[project]\nrequires-python = 3\n"}, ":2:1: requires-python: expected"),
        ({"pyproject.toml": "[project]\noptional-dependencies = []\n"}, ":2:1: optional-depend"),
        ({"pyproject.toml": "project = 3\n"}, "expected `object`, got `int`"),
        ({"pyproject.toml": "[project\n"}, "pyproject.toml:1:9: "),
        (
            {"pyproject.toml": "[project]\ndependencies = ['a b']\n"},
            ":2:1: 'a b' is not a valid req",
        ),
        ({"pyproject.toml": "[project]\ndependencies = ['a @ file:../b']\n"}, "../b is outside"),
        (
            {"apt.txt": "a $(reboot)\n"},
            r"apt.txt:1:1: '\$\(reboot\)' is not a valid Debian package",
        ),
        ({"setup.cfg": "[options\n"}, "setup.cfg:1:1: File contains no section headers"),
        ({"pip.conf": "x"}, "pip.conf:1:1: File contains no section headers"),
    ],
)
def test_an_invalid_value_is_reported_with_its_place(read, files, message):
    with pytest.raises(ConfigError, match=message):
        read(files)
