import pathlib

import pytest

from imagekit.errors import ConfigError
from imagekit.project import dependencies, setup_files


@pytest.fixture
def read(tmp_path):
    def make(files, *extras, mode="cpu"):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return dependencies.read(tmp_path, extras, mode)

    return make


PACKAGE = """
[project]
name = "My_Thing"
dependencies = ["a"]
[project.optional-dependencies]
gpu = ["g"]
cpu = ["c"]
all = ["my-thing[x]", "My.Thing[y, x]"]
x = ["ex"]
y = ["why"]
"""


def test_extras_are_those_of_the_mode_and_those_that_are_named(read):
    assert read({"pyproject.toml": PACKAGE}).requirements == ("a", "c")
    assert read({"pyproject.toml": PACKAGE}, mode="gpu").requirements == ("a", "g")
    assert read({"pyproject.toml": PACKAGE}, "all").requirements == ("a", "c", "ex", "why")


def test_an_extra_that_there_is_not(read):
    with pytest.raises(ConfigError, match=r"no extra 'xx' in .*; did you mean 'x'\?"):
        read({"pyproject.toml": PACKAGE}, "xx")
    with pytest.raises(ConfigError, match=r"no extra 'xx' in [^;]*$"):
        read({"pyproject.toml": "[project]\nname = 'a'\n"}, "xx")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\n\n# b\nc # d\n", [(1, "a"), (4, "c")]),
        ("a \\\n  --hash=x\nb", [(1, "a   --hash=x"), (3, "b")]),
        ("git+https://example.com/x#egg=y", [(1, "git+https://example.com/x#egg=y")]),
        ("# a \\\nb", [(2, "b")]),
    ],
)
def test_lines_of_a_requirement_file(text, lines):
    assert list(setup_files.logical_lines(text)) == lines


def test_files_that_are_included_come_before_those_that_include_them(read):
    files = {
        "requirements.txt": "-r a/b.txt\n--requirement=c.txt\n-c https://example.com/c.txt\n",
        "a/b.txt": "-r ../c.txt\nx\n",
        "c.txt": "-r requirements.txt\ny\n",
    }
    found = read(files)
    assert found.files == ("c.txt", "a/b.txt", "requirements.txt")
    assert found.requirement_files == ("requirements.txt",)


def test_local_packages_are_copied_and_the_directory_itself_waits_for_the_code(read):
    files = {"requirements.txt": "./libs/a\n-e file:./libs/b[x]\n", "libs/a/x": "", "libs/b/x": ""}
    found = read(files)
    assert (found.folders, found.late_requirement_files) == (("libs/a", "libs/b"), ())
    for itself in ("-e .[x]", "-e.", ".", "./", "file:.", "--editable=. ; os_name == 'posix'"):
        found = read({"requirements.txt": f"{itself}\nsix\n"})
        assert (found.requirement_files, found.late_requirement_files) == (
            (),
            ("requirements.txt",),
        )


def test_pip_takes_for_a_path_what_has_a_slash(read):
    text = "libs/a\n./libs/b;os_name == 'posix'\n./libs/a[x] --no-deps\nsix\nx @ file:///y\n"
    found = read({"requirements.txt": text, "libs/a/x": "", "libs/b/x": "", "six/x": ""})
    assert found.folders == ("libs/a", "libs/b")
    with pytest.raises(ConfigError, match=r"requirements.txt:2:1: libs/c: no such file"):
        read({"requirements.txt": "six\nlibs/c\n"})


def test_a_requirement_file_that_is_a_link_inside_is_copied_as_it_is_called(read, tmp_path):
    (tmp_path / "requirements.txt").symlink_to("real.txt")
    found = read({"real.txt": "-r more.txt\n", "more.txt": "six\n"})
    assert found.files == ("more.txt", "requirements.txt")


def test_a_requirement_file_that_is_a_link_out_of_the_directory(read, tmp_path):
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("six")
    (tmp_path / "requirements.txt").symlink_to(outside)
    with pytest.raises(ConfigError, match=r"requirements.txt links outside the directory"):
        read({})


@pytest.mark.parametrize(
    ("text", "dynamic", "requirements"),
    [
        ("from setuptools import setup\nsetup(install_requires=['a'])", False, ("a",)),
        ("import setuptools\nsetuptools.setup(extras_require={'cpu': ['c']})", False, ("c",)),
        ("from setuptools import setup\nsetup(install_requires=read())", True, ()),
        ("from setuptools import setup\nsetup(**arguments)", True, ()),
        ("not python at all (", True, ()),
        ("print('no setup')", True, ()),
    ],
)
def test_what_a_setup_py_says_without_being_run(read, text, dynamic, requirements):
    found = read({"setup.py": text})
    assert (found.project, found.dynamic, found.requirements) == (True, dynamic, requirements)


@pytest.mark.parametrize(
    ("setup", "cfg"),
    [
        ("setup()", "[options]\ninstall_requires = file: r.txt\n"),
        ("setup()", "[options.extras_require]\nx = file: r.txt\n"),
        ("setup(extras_require=['x'])", ""),
        ("setup(extras_require={'x': y()})", ""),
        ("setup(install_requires=['a'])", "[options]\ninstall_requires = b\n"),
        ("setup(install_requires=[1])", ""),
        ("setup(); setup()", ""),
        ("setup()", "[options\n"),
    ],
)
def test_what_only_its_build_knows_of_a_package(read, setup, cfg):
    found = read({"setup.py": f"from setuptools import setup\n{setup}\n", "setup.cfg": cfg}, "x")
    assert (found.dynamic, found.requirements, found.extras) == (True, (), ("x",))


def test_a_function_that_is_called_like_setuptools_own(read):
    assert read({"setup.py": "def setup(**given): ...\nsetup(install_requires=['a'])\n"}).dynamic


def test_setup_cfg_and_setup_py_say_it_together(read):
    setup = """
import setuptools as s
s.setup(
    name="My_Thing",
    install_requires='''
        a
        b>=1  # because
        # not c
    ''',
    extras_require={"cpu": ["my-thing[x] ; os_name == 'posix'"], "x": "d"},
)
"""
    found = read({"setup.py": setup, "setup.cfg": "[options]\npython_requires = >=3.11\n"})
    assert found.requirements == ("a", "b>=1", 'd ; (os_name == "posix")')
    assert (found.dynamic, found.python) == (False, ">=3.11")


def test_an_extra_that_names_another_under_a_condition(read):
    text = """
[project]
name = "thing"
[project.optional-dependencies]
cpu = ["thing[a,b]; sys_platform == 'linux'", "plain"]
a = ["one[x]>=1 ; python_version > '3' or os_name == 'nt'"]
b = ["thing[a]", "thing[cpu] ; os_name == 'posix'", "two"]
"""
    found = read({"pyproject.toml": text}).requirements
    assert found[:4] == (
        "plain",
        'one[x]>=1 ; (sys_platform == "linux") and (python_version > "3" or os_name == "nt")',
        'two ; (sys_platform == "linux")',
        'plain ; (sys_platform == "linux") and (os_name == "posix")',
    )
    assert len(found) == 6


@pytest.mark.parametrize(
    "text",
    [
        *("-r x.txt", "a\\nUSER root", "a\\u0085b", "./here", "a b"),
        "a @ https://example.com/x\\n--pre",
    ],
)
@pytest.mark.parametrize("key", ["dependencies", "optional-dependencies.cpu"])
def test_what_is_no_requirement_does_not_come_into_the_dockerfile(read, text, key):
    with pytest.raises(
        ConfigError, match=r"pyproject.toml:1:1: .* is not a valid requirement: "
    ) as caught:
        read({"pyproject.toml": f'[project]\nname = "x"\n{key} = ["six", "{text}"]\n'})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("key", ["dependencies", "optional-dependencies"])
def test_what_is_dynamic_is_known_to_the_build_without_a_build_system_too(read, key):
    found = read({"pyproject.toml": f"[project]\nname = 'x'\ndynamic = ['{key}']\n"})
    assert (found.project, found.dynamic) == (True, True)


def test_a_lock_file_says_what_requirements_txt_would(read):
    found = read({"pylock.toml": "lock-version = '1.0'\n", "requirements.txt": "six\n"})
    assert (found.lock, found.requirement_files, found.files) == (
        "pylock.toml",
        (),
        ("pylock.toml",),
    )
    assert "requirements.txt: skipped, pylock.toml lists all dependencies" in found.notes


def test_conda_s_python_is_what_is_needed(read):
    specifiers = {
        "python=3.11": "==3.11.*",
        "python==3.11.2": "==3.11.2",
        "python": "",
        "python 3.11": "==3.11.*",
        "python>=3.10,<3.13": ">=3.10,<3.13",
        "conda-forge::python =3.12": "==3.12.*",
    }
    for text, python in specifiers.items():
        assert read({"environment.yml": f"dependencies: ['{text}']\n"}).python == python


def test_what_conda_and_the_package_say_of_python_holds_together(read):
    package = "[project]\nname = 'x'\nrequires-python = '<3.13'\n"
    environment = "dependencies: ['python>=3.11']\n"
    found = read({"pyproject.toml": package, "environment.yml": environment})
    assert found.python == "<3.13,>=3.11"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", r"environment.yml:\d+:\d+: invalid YAML"),
        ("dependencies: x", r"environment.yml:1:15: 'dependencies' must be a list"),
    ],
)
def test_an_invalid_environment(read, text, message):
    with pytest.raises(ConfigError, match=message):
        read({"environment.yml": text})


def test_a_poetry_project_is_left_to_its_build(read):
    text = '[tool.poetry.dependencies]\nx = "1"\n[build-system]\nrequires = ["poetry-core"]\n'
    found = read({"pyproject.toml": text})
    assert (found.project, found.dynamic) == (True, True)


def test_everything_together(read):
    files = {
        "pyproject.toml": "[project]\nname = 'a'\ndependencies = ['a', 'b']\n",
        "requirements.txt": "c\n",
        "apt.txt": "bc jq # z\njq\n",
    }
    found = read(files)
    assert (found.requirements, found.requirement_files, found.apt) == (
        ("a", "b"),
        ("requirements.txt",),
        ("bc", "jq"),
    )
    assert len(found.notes) == 3
    assert pathlib.Path(found.files[0]) == pathlib.Path("requirements.txt")


@pytest.mark.parametrize(
    ("version", "specifier"),
    [
        ("=3.11", "==3.11.*"),
        ("=3.11=h1_0", "==3.11.*"),
        ("== 3.11.4", "==3.11.4"),
        (">=3.10,<3.13", ">=3.10,<3.13"),
    ],
)
def test_conda_s_versions(version, specifier):
    assert setup_files.specifier(version) == specifier


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"pyproject.toml": "[project]\ndependencies = 'x'\n"},
            ":2:1: dependencies: expected `arr",
        ),
        ({"pyproject.toml": "[project]\nrequires-python = 3\n"}, ":2:1: requires-python: expected"),
        (
            {"pyproject.toml": "[project]\n\nrequires-python = 'x'\n"},
            r"pyproject.toml:3:1: .*'x'; write requires-python like '>=3.11'",
        ),
        ({"environment.yml": "dependencies: [python x]\n"}, "environment.yml:1:1: .*: 'x'"),
        ({"pyproject.toml": "[project]\noptional-dependencies = []\n"}, ":2:1: optional-depend"),
        ({"pyproject.toml": "project = 3\n"}, "expected `object`, got `int`"),
        ({"apt.txt": "a $(reboot)\n"}, r"'\$\(reboot\)' is not a valid Debian package"),
        ({"environment.yml": "dependencies: [[a], '']\n"}, ":1:16: conda package"),
        ({"environment.yml": "dependencies:\n- pip\n- \n"}, ":3:2: conda package ''"),
        ({"environment.yml": "dependencies: [{conda: [a]}]\n"}, ":1:24: 'conda' is invalid; only"),
        ({"environment.yml": "dependencies: [{pip: [-r ../x]}]\n"}, ":1:1: ../x is outside"),
        ({"requirements.txt": "-r a folder/b.txt\n"}, ":1:1: a: no such file"),
        ({"requirements.txt": "-c 'a\n-r ''\n"}, ":1:1: 'a: not a valid file name"),
        (
            {"environment.yml": "dependencies: [{pip: [--pre]}]\n"},
            ":1:23: '--pre' is not supported",
        ),
    ],
)
def test_an_invalid_value_is_reported_with_its_place(read, files, message):
    with pytest.raises(ConfigError, match=message):
        read(files)


@pytest.mark.parametrize("name", ["apt.txt", "setup.py", "requirements.txt", "environment.yml"])
def test_a_file_that_is_no_utf8(read, tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"{name} is not valid UTF-8; save it as UTF-8"):
        read({})


def test_wheels_and_folders_of_wheels_go_along(read):
    text = "a.whl\n./w/b-1-py3-none-any.whl\n--find-links wheels\n-f https://example.com\nc\n"
    files = {"requirements.txt": text, "a.whl": "", "w/b-1-py3-none-any.whl": "", "wheels/x": ""}
    found = read(files)
    assert found.files == ("a.whl", "w/b-1-py3-none-any.whl", "requirements.txt")
    assert found.folders == ("wheels",)


def test_a_lock_file_s_local_packages_are_copied(read, tmp_path):
    lock = """
version = 1
[[package]]
name = "a"
source = { editable = "libs/a" }
[[package]]
name = "self"
source = { virtual = "." }
[[package]]
name = "six"
source = { registry = "https://example.com/simple" }
"""
    files = {"pyproject.toml": "[project]\nname='self'\n", "uv.lock": lock, "libs/a/x": ""}
    assert read(files).folders == ("libs/a",)
    with pytest.raises(ConfigError, match=r"\./\.\./b is outside the directory"):
        read({"uv.lock": lock.replace("libs/a", "../b")})
    with pytest.raises(ConfigError, match=r"uv.lock:1:\d+: "):
        read({"uv.lock": "garbage <<<"})


def test_what_only_uv_knows_where_to_get_is_not_taken_from_the_index(read):
    text = "[project]\nname='x'\ndependencies=['a']\n[tool.uv.sources]\na = {workspace = true}\n"
    with pytest.raises(
        ConfigError, match=":4:1: only uv can resolve the sources of a; run uv lock"
    ):
        read({"pyproject.toml": text})


@pytest.mark.parametrize(
    "text",
    ["--index-url https://me:secret@example.com/simple", "git+https://token@example.com/x"],
)
def test_a_login_in_an_address_is_refused(read, text):
    with pytest.raises(ConfigError, match=r"requirements.txt:2:1: the URL contains credentials"):
        read({"requirements.txt": f"six\n{text}\n"})


def test_addresses_without_a_secret(read):
    text = "x @ git+ssh://git@example.com/x\n-i https://${TOKEN}@example.com/s\ny @ https://example.com/@z\n"
    assert read({"requirements.txt": text}).requirement_files == ("requirements.txt",)


def test_unread_files_are_reported(read):
    found = read({"Pipfile": "", "uv.lock": "", "setup.cfg": "", "requirements/base.txt": ""})
    assert found.notes == (
        "warning: Pipfile is not read",
        "warning: requirements is not read",
        "warning: setup.cfg (without a setup.py) is not read",
        "warning: uv.lock (without a pyproject.toml) is not read",
    )


def test_an_ignored_file(read):
    files = {"environment.yml": "dependencies: [cudatoolkit]\n", "requirements.txt": "six\n"}
    read(files | {"environment.yml": ""})
    with pytest.raises(ConfigError, match=r"to skip the file, pass --ignore environment.yml"):
        read(files)


def test_the_version_that_pyenv_would_take(read):
    assert read({".python-version": "3.12.4\n"}).python == "==3.12.*"


@pytest.mark.parametrize("target", ["nowhere", "requirements.txt"])
def test_a_link_that_leads_nowhere(read, tmp_path, target):
    (tmp_path / "requirements.txt").symlink_to(target)
    with pytest.raises(ConfigError, match=r"requirements.txt is a broken link"):
        read({})
