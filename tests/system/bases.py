"""The base images of the system tests: made from Debian's packages, kept in a registry's folder.

What takes the time is mostly xz, as dpkg unpacks: so there are few packages. A layer is packed
without compressing it, and put into the registry as it is; `docker push` would compress it.
"""

import fcntl
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request

RELEASES = {"bookworm": "3.11", "trixie": "3.13"}
PACKAGES = {
    "bookworm": ("passwd", "python3", "ca-certificates", "git"),
    "trixie": ("passwd", "python3", "liberror-perl", "libcurl3t64-gnutls", "openssl"),
}
"""What each release has. Most tests build on bookworm, where the shipped Dockerfile finds its
packages installed; on trixie it has to install them, though not what they depend on."""
COMPILING = "imagekit.test/compiling"
"""Where the base images are on which uv compiles what it installs. The shipped tests start pip
twice in each image of the matrix, and it would compile itself each time."""

OPTIONS = (
    # apt and what is essential. Every package more is unpacked, and pulled.
    "--variant=apt",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--skip=cleanup/apt/lists",
    '--aptopt=Acquire::Languages "none"',
    # Each list is read by every `apt-get update` of a test.
    """--setup-hook=sed -i '/updates\\|security/d' "$1/etc/apt/sources.list\"""",
)
KEPT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale")
"""What Ubuntu's and Debian's own images tell dpkg not to install, too."""
UNUSED = ("usr/lib/*/gconv", "usr/lib/*/perl", "usr/share/perl")
"""A quarter of what is left: character sets, and the modules of Perl that only git names. What
packages run as they are installed has its own, in perl-base."""
DPKG = "etc/dpkg/dpkg.cfg.d/image"


def images_of(release):
    """The base images of a release, by the tag that they are kept under."""
    names = {release: f"ubuntu:{release}", f"cuda-{release}": f"cuda:13.0.3-base-ubuntu{release}"}
    return {
        **{tag: f"imagekit.test/{name}" for tag, name in names.items()},
        **{f"compiling-{tag}": f"{COMPILING}/{name}" for tag, name in names.items()},
    }


def kept(serving):
    """The folder of a registry with the base images, kept between runs: it takes a minute.

    `serving` gives a registry that keeps what it is given in a folder. What this file says about
    them is part of the folder's name, so another version makes them anew.
    """
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    home = cache / "imagekit-tests"
    home.mkdir(parents=True, exist_ok=True)
    made_of = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]
    folder = home / f"registry-{made_of}"
    # Tests run in several processes, and one is enough to make them.
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=home) as new:
                _make(pathlib.Path(new), serving)
                pathlib.Path(new, "registry").rename(folder)
    return folder


def _make(folder, serving):
    library = folder / "cuda/usr/local/cuda/lib64/libcudart.so.13"
    library.parent.mkdir(parents=True)
    soname = "-Wl,-soname,libcudart.so.13"
    run("cc", "-shared", "-nostdlib", soname, "-x", "c", os.devnull, "-o", str(library))
    with serving(folder, folder / "registry") as registry:
        # As with NVIDIA's images, a layer upon the same system.
        cuda = _put_layer(registry.address, folder / "cuda")
        for release, packages in PACKAGES.items():
            debian = _put_layer(registry.address, _debian(folder, release, packages))
            for tag in images_of(release):
                variables = ["UV_COMPILE_BYTECODE=1"] if tag.startswith("compiling") else []
                layers = [debian, cuda] if "cuda" in tag else [debian]
                _put_image(registry.address, tag, layers, variables)


def _debian(folder, release, packages):
    """The folder with the files of a Debian."""
    tree, settings = folder / release, folder / "dpkg"
    excluded = "".join(f"path-exclude=/{name}/*\n" for name in (*KEPT_OUT, *UNUSED))
    # Nothing in an image is worth waiting for the disk after each file.
    settings.write_text(f"force-unsafe-io\n{excluded}")
    # mmdebstrap's own option for them would start a filter in Python for every package.
    before = f'--setup-hook=mkdir -p "$1/{DPKG}"; rmdir "$1/{DPKG}"; cp {settings} "$1/{DPKG}"'
    include = f"--include={','.join(('usr-is-merged', *packages))}"
    # It takes half the time of debootstrap.
    run("mmdebstrap", *OPTIONS, before, include, release, str(tree))
    _slim(tree)
    return tree


def _slim(tree):
    """Leave out of a Debian what images do not have: every layer is packed, pushed and pulled."""
    for path in (*tree.glob("var/cache/apt/archives/*.deb"), *tree.glob("var/cache/apt/*.bin")):
        path.unlink()
    # The names of lists stay, so that one sees whether they are left alone.
    for path in tree.glob("var/lib/apt/lists/*_Packages"):
        path.unlink()
    # What dpkg did not unpack, mmdebstrap did, of what is essential.
    for path in (path for pattern in (*KEPT_OUT, *UNUSED) for path in tree.glob(pattern)):
        shutil.rmtree(path)
    for name in KEPT_OUT:
        (tree / name).mkdir()
    # As in those images: each update would read the translations of all descriptions.
    (tree / "etc/apt/apt.conf.d/no-languages").write_text('Acquire::Languages "none";\n')
    excluded = "".join(f"path-exclude=/{name}/*\n" for name in KEPT_OUT)
    (tree / DPKG).write_text(f"force-unsafe-io\n{excluded}")


def _put_layer(address, tree):
    """Put the files of a folder into a registry as a layer: how a manifest and a config name it."""
    files, packed = tree.with_suffix(".tar"), tree.with_suffix(".tar.gz")
    run("tar", "-C", str(tree), "-cf", str(files), ".")
    with files.open("rb") as read, gzip.open(packed, "wb", compresslevel=0) as write:
        shutil.copyfileobj(read, write, 1 << 20)
    with files.open("rb") as read:
        name = f"sha256:{hashlib.file_digest(read, 'sha256').hexdigest()}"
    layer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    return _put_blob(address, packed.read_bytes(), layer), name


def _put_image(address, tag, layers, variables):
    config = {
        "architecture": run("dpkg", "--print-architecture").strip(),
        "os": "linux",
        "config": {"Env": variables},
        "rootfs": {"type": "layers", "diff_ids": [name for _, name in layers]},
    }
    kind = "application/vnd.docker.container.image.v1+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": _put_blob(address, json.dumps(config).encode(), kind),
        "layers": [layer for layer, _ in layers],
    }
    path = f"http://{address}/v2/ml/manifests/{tag}"
    _ask("PUT", path, json.dumps(manifest).encode(), manifest["mediaType"])


def _put_blob(address, content, kind):
    """Upload a blob as a registry wants it: where to is what it says first."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    to = _ask("POST", f"http://{address}/v2/ml/blobs/uploads/")["Location"]
    joined = "&" if urllib.parse.urlsplit(to).query else "?"
    _ask("PUT", f"{to}{joined}digest={digest}", content, "application/octet-stream")
    return {"mediaType": kind, "size": len(content), "digest": digest}


def _ask(method, address, content=b"", kind="application/json"):
    headers = {"Content-Type": kind}
    # The registry is our own, on loopback.
    asked = urllib.request.Request(address, content, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        return answer.headers


def pull(docker, address):
    """Pull the base images from a registry, each under its own name."""
    for name, to in (pair for release in RELEASES for pair in images_of(release).items()):
        run(docker, "pull", f"{address}/ml:{name}")
        run(docker, "tag", f"{address}/ml:{name}", to)
        run(docker, "image", "rm", f"{address}/ml:{name}")


def run(*command):
    """Run a command that has to succeed: what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout
