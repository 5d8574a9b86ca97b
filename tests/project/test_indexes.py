import pytest

from imagekit.errors import ConfigError
from imagekit.project import indexes

URL = 'url = "https://example.com/simple"'


@pytest.mark.parametrize(
    ("files", "secrets"),
    [
        (
            {"pyproject.toml": f'[[tool.uv.index]]\nname = "ac-me.1"\n{URL}\n'},
            ("UV_INDEX_AC_ME_1_PASSWORD", "UV_INDEX_AC_ME_1_USERNAME"),
        ),
        ({"pyproject.toml": f"[[tool.uv.index]]\n{URL}\ndefault = true\n"}, ()),
        (
            {"pyproject.toml": f'[[tool.poetry.source]]\nname = "acme"\n{URL}\n'},
            ("POETRY_HTTP_BASIC_ACME_PASSWORD", "POETRY_HTTP_BASIC_ACME_USERNAME"),
        ),
        ({"pyproject.toml": '[[tool.pdm.source]]\nurl = "https://${A}:${B}@e.com"\n'}, ("A", "B")),
        ({"Pipfile": '[[source]]\nurl = "https://${USER}:x@e.com"\n'}, None),
        ({"Pipfile": f'[[source]]\nname = "x"\n{URL}\n'}, ()),
        (
            {"uv.toml": f'[[index]]\nname = "a"\n{URL}\n'},
            ("UV_INDEX_A_PASSWORD", "UV_INDEX_A_USERNAME"),
        ),
        ({"uv.toml": 'index-url = "https://e.com"\nextra-index-url = ["https://f.com"]\n'}, ()),
        ({"pip.conf": "[global]\nindex-url = https://e.com\n"}, ()),
    ],
)
def test_the_indexes_of_a_project_and_their_logins(directory, files, secrets):
    made = directory(files)
    found = indexes.read(made)
    if secrets is None:
        assert [problem.message[:27] for problem in made.problems] == []
        assert found.secrets == ("USER",)
        return
    assert (found.secrets, made.problems) == (secrets, [])
    assert found.urls


def test_a_pip_conf_of_the_project_is_told_to_uv(read):
    text = """
[global]
index-url = https://a.com
[install]
extra-index-url =
  https://b.com
  https://c.com
trusted-host = b.com
"""
    found = read({"pip.conf": text, "requirements.txt": "six\n"})
    assert found.environment == {
        "UV_DEFAULT_INDEX": "https://a.com",
        "UV_INDEX": "https://b.com https://c.com",
        "UV_INSECURE_HOST": "b.com",
    }
    assert found.has_index
    assert "pip.conf: the package index" in found.notes


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": '[[tool.uv.index]]\nurl = "https://me:secret@e.com"\n'},
        {"Pipfile": '[[source]]\nurl = "https://me:secret@e.com"\n'},
        {"uv.toml": 'index-url = "https://me:secret@e.com"\n'},
        {"pip.conf": "[global]\nindex-url = https://me:secret@e.com\n"},
    ],
)
def test_a_login_in_an_address_is_refused(read, files):
    with pytest.raises(ConfigError, match="the URL contains credentials"):
        read(files)


def test_a_password_in_pdms_settings_is_refused(read):
    text = f'[[tool.pdm.source]]\n{URL}\npassword = "secret"\n'
    with pytest.raises(ConfigError, match=r"the source has a password, .* write \$\{NAME\}"):
        read({"pyproject.toml": text})
