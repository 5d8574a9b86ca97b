"""Docker's command line, in every way that its options can be written."""

import pytest

from imagekit.docker import command_line


def options(*args):
    line = command_line.parse(args)
    return None if line is None else [(part.name, part.value) for part in line.parts]


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (["build", "-t", "a", "."], [("tag", "a"), ("", ".")]),
        (["build", "-ta", "-t=b", "--tag=c", "--tag", "d"], [("tag", name) for name in "abcd"]),
        (["build", "-qf", "D", "."], [("quiet", "true"), ("file", "D"), ("", ".")]),
        (["build", "-q=false", "--pull=1"], [("quiet", "false"), ("pull", "true")]),
        (["build", "--label", "-x=1", "--", "-f"], [("label", "-x=1"), ("", "-f")]),
        (["-D", "--debug", "image", "build", "."], [("", ".")]),
        (["buildx", "b", "-"], [("", "-")]),
        (
            ["run", "-itv", "a:/b", "x", "-v"],
            [
                *(
                    ("interactive", "true"),
                    ("tty", "true"),
                    ("volume", "a:/b"),
                    ("", "x"),
                    ("", "-v"),
                ),
            ],
        ),
        (["container", "create", "-e=A=1", "x"], [("env", "A=1"), ("", "x")]),
        (["tag", "a", "b"], [("", "a"), ("", "b")]),
        (["image", "ls", "--anything"], []),
        # What is not known, is cut off, or chooses another engine.
        (["build", "--unknown", "."], None),
        (["build", "-x", "."], None),
        (["build", "-t"], None),
        (["build", "--tag"], None),
        (["tag", "-f", "a", "b"], None),
        (["--config", "c", "build", "."], None),
        (["buildx", "--builder", "x", "build"], None),
        (["exec", "x"], None),
        ([], None),
    ],
)
def test_what_is_read(args, found):
    assert options(*args) == found


def test_what_is_read_says_where_a_value_is():
    line = command_line.parse(["build", "-qf=D", "--iidfile=I", "-t", "a", "."])
    assert [(part.index, part.before, part.value) for part in line.parts] == [
        *((1, "", "true"), (1, "-qf=", "D"), (2, "--iidfile=", "I"), (4, "", "a"), (5, "", ".")),
    ]
    assert line.at == 1
    assert [part.value for part in line.parts if not part.name] == ["."]


@pytest.mark.parametrize(
    ("args", "paths"),
    [
        (["build", "ctx", "-f", "D", "--iidfile", "I"], ["ctx", "D", "I"]),
        (["build", "-", "-f", "-"], []),
        (["build", "https://h.example/a.git"], []),
        (
            ["build", "-o", "out", "-o", "type=tar,dest=t", "-o", "-", "-o", "type=docker,dest=-"],
            ["out", "t"],
        ),
        (
            ["build", "--cache-from", "type=local,src=c", "--cache-to", "type=local,dest=d"],
            ["c", "d"],
        ),
        (["build", "--cache-from", "h/a"], []),
        (["build", "--secret", "id=x,src=s", "--build-context", "a=b"], ["s", "b"]),
        (["build", "--build-context", "a=docker-image://x"], []),
        (["run", "--env-file", "e", "-v", "/a:/b", "x", "-f"], ["e"]),
        (["save", "-o", "o", "x"], ["o"]),
        (["load", "--input=i"], ["i"]),
    ],
)
def test_the_paths_of_the_client(args, paths):
    found = command_line.client_paths(command_line.parse(args))
    assert [path for _, path in found] == paths


@pytest.mark.parametrize(
    ("option", "paths"),
    [
        (["-v", "/a:/b:ro"], ["/a"]),
        (["-v", "./a:/b"], ["./a"]),
        (["-v", "~/a:/b"], ["~/a"]),
        (["-v", "name:/b"], []),
        (["-v", "/b"], []),
        (["--mount", "type=bind,src=/a,dst=/b"], ["/a"]),
        (["--mount", '"TYPE=bind","Source=/a,b",dst=/b'], ["/a,b"]),
        (["--mount", "src=name,dst=/b"], []),
        (["--mount", "type=volume,src=name,volume-opt=device=/a"], ["/"]),
        (["--mount", "type=tmpfs,dst=/b"], []),
        (["--device", "/dev/kvm:/dev/kvm"], ["/dev/kvm"]),
    ],
)
def test_the_paths_that_a_container_gets(option, paths):
    found = command_line.mounted_paths(command_line.parse(["run", *option, "x"]))
    assert [path for _, path in found] == paths
    build = command_line.parse(["build", "."])
    assert list(command_line.mounted_paths(build)) == []


def test_the_variables_that_a_command_takes():
    line = command_line.parse(
        ["build", "--build-arg", "A", "--build-arg", "B=1", "--secret", "id=C", "--secret", "env=D"]
    )
    assert list(command_line.environment(line)) == ["A", "C", "D"]
    line = command_line.parse(["run", "-e", "A", "--env=B=1", "x"])
    assert list(command_line.environment(line)) == ["A"]


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        (["build", "."], False),
        (["build", "--push", "."], True),
        (["build", "--push=false", "-o", "type=image,push=false", "."], False),
        (["build", "--cache-to", "type=inline", "."], False),
        (["build", "--cache-to", "type=gha", "."], True),
        (["manifest", "push", "x"], True),
        (["manifest", "create", "x"], False),
        (["run", "x"], False),
    ],
)
def test_what_is_sent(args, sent):
    assert command_line.sends(command_line.parse(args)) is sent


def test_paths_are_rewritten_where_they_are():
    args = ["build", "-f=/w/D", "/w", "--label", "a=/w"]
    line = command_line.parse(args)
    parts = [*command_line.client_paths(line)]
    assert command_line.rewritten(args, parts, "/w", "/x") == [
        *("build", "-f=/x/D", "/x", "--label", "a=/w"),
    ]
