import pytest

from imagekit.support import gcloud_settings, git


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT", "CLOUDSDK_ACTIVE_CONFIG_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    (tmp_path / "configurations").mkdir()
    return tmp_path


def write(folder, name, text):
    (folder / "configurations" / f"config_{name}").write_text(text)


def test_the_project_is_that_of_the_active_configuration(folder, monkeypatch):
    assert gcloud_settings.project() is None
    write(folder, "default", "[core]\nproject = first\naccount = a%b\n")
    write(folder, "work", "[core]\nproject = second\n")
    assert gcloud_settings.project() == "first"
    (folder / "active_config").write_text("work\n")
    assert gcloud_settings.project() == "second"
    monkeypatch.setenv("CLOUDSDK_ACTIVE_CONFIG_NAME", "default")
    assert gcloud_settings.project() == "first"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "third")
    assert gcloud_settings.project() == "third"
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "fourth")
    assert gcloud_settings.project() == "fourth"


@pytest.mark.parametrize("text", ["", "[core]\n", "[core]\nproject =\n", "no settings", "\udcff"])
def test_what_is_not_set_is_not_known(folder, text):
    (folder / "configurations" / "config_default").write_bytes(
        text.encode(errors="surrogateescape")
    )
    assert gcloud_settings.project() is None


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/acme/code.git",
        "https://token@github.com/acme/code/",
        "git@github.com:acme/code.git",
        "ssh://git@github.com:22/acme/code",
    ],
)
def test_the_name_of_a_repository(address):
    assert git.repository_name(address) == "code"
    assert git.repository_name(address, whole=True) == "acme/code"
    assert git.repository_name("") == ""
