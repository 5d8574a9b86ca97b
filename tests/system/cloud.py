"""A Cloud Build on loopback that really builds: the REST paths that gcloud and Google's client use.

Builds run on the local Docker engine, through `imagekit build`, in what was uploaded. Beside
Cloud Build it answers for as much of Cloud Storage, Artifact Registry and Cloud Logging as a
submitted build needs. What projects may not do, and what is missing, is set by the test.
"""

import base64
import contextlib
import datetime
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.parse
import uuid

import google_crc32c

STATES = {
    "waiting": "QUEUED",
    "running": "WORKING",
    "succeeded": "SUCCESS",
    "up to date": "SUCCESS",
    "failed": "FAILURE",
    "timed out": "TIMEOUT",
    "blocked": "QUEUED",
    "interrupted": "CANCELLED",
}
OVER = ("SUCCESS", "FAILURE", "TIMEOUT", "CANCELLED")
NUMBER = "123456789"
LOGS = f"{NUMBER}.cloudbuild-logs.googleusercontent.com"


def now():
    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")


class RefusedError(Exception):
    def __init__(self, code, status, message):
        super().__init__(message)
        self.code, self.status = code, status


def missing(what):
    return RefusedError(404, "NOT_FOUND", f"{what} not found")


class Cloud:
    """The state of the service: buckets, builds, triggers, repositories."""

    def __init__(self, folder, build_command, before=lambda: None):
        self.folder = pathlib.Path(folder)
        self.build_command = build_command
        self.before = before
        self.objects, self.buckets = {}, {LOGS}
        self.builds, self.triggers, self.repositories = {}, {}, set()
        self.denied, self.rejected = set(), {}
        self.processes, self.threads, self.asked = {}, [], []
        self.is_news = lambda build: build["status"] in OVER
        self.lock = threading.RLock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.cloud = self
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.terminate()
        for thread in self.threads:
            thread.join(60)
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def environment(self, config):
        """What makes gcloud ask here, with a configuration of its own and nobody logged in."""
        overrides = {
            "CLOUDBUILD": f"{self.address}/",
            "STORAGE": f"{self.address}/storage/v1/",
            "LOGGING": f"{self.address}/",
            "ARTIFACTREGISTRY": f"{self.address}/",
        }
        found = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{k}": v for k, v in overrides.items()}
        return found | {
            "CLOUDSDK_CONFIG": str(config),
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "STORAGE_EMULATOR_HOST": self.address,
        }

    # ---- Cloud Storage

    def bucket(self, name):
        if name not in self.buckets:
            raise missing(f"bucket {name}")
        return {"kind": "storage#bucket", "name": name, "id": name, "location": "US"}

    def put(self, bucket, name, data, kind):
        self.objects[bucket, name] = (data, kind or "application/octet-stream")
        return self.about(bucket, name)

    def read(self, bucket, name):
        match = re.fullmatch(r"log-(.*)\.txt", name)
        if match and match[1] in self.builds:
            text = self._log(match[1], bucket)
            if text:
                return text, "text/plain"
        if (bucket, name) not in self.objects:
            raise missing(f"object {bucket}/{name}")
        return self.objects[bucket, name]

    def _log(self, name, bucket):
        """A build's log, if it has begun and is kept in a bucket."""
        kept = self.builds[name]
        mode = kept["build"].get("options", {}).get("logging")
        elsewhere = mode in ("CLOUD_LOGGING_ONLY", "NONE")
        if elsewhere or kept["build"]["logsBucket"] != f"gs://{bucket}":
            return b""
        if "raw" in kept:
            return kept["raw"]
        with self.lock:
            return "".join(f"{line}\n" for _, line in kept["lines"]).encode()

    def about(self, bucket, name):
        data, kind = self.read(bucket, name)
        quoted = urllib.parse.quote(name, safe="")
        crc = google_crc32c.value(data).to_bytes(4, "big")
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{name}/1",
            "bucket": bucket,
            "name": name,
            "generation": "1",
            "metageneration": "1",
            "contentType": kind,
            "size": str(len(data)),
            "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),  # noqa: S324
            "crc32c": base64.b64encode(crc).decode(),
            "timeCreated": now(),
            "updated": now(),
            "mediaLink": f"{self.address}/download/storage/v1/b/{bucket}/o/{quoted}?alt=media",
        }

    # ---- Cloud Build

    def create(self, project, location, build):
        self.allowed(project)
        texts = json.dumps(build["steps"]).replace("$$", "")
        unused = [
            n for n in build.get("substitutions", {}) if not re.search(rf"\$\{{?{n}\b", texts)
        ]
        reason = f"key in the substitutions is not matched: {unused}" if unused else ""
        if reason := self.rejected.get(project, reason):
            raise RefusedError(400, "INVALID_ARGUMENT", reason)
        name = str(uuid.uuid4())
        build = build | {
            "id": name,
            "name": f"projects/{NUMBER}/locations/{location}/builds/{name}",
            "projectId": project,
            "status": "QUEUED",
            "createTime": now(),
            "logUrl": f"https://console.cloud.google.com/cloud-build/builds/{name}?project={NUMBER}",
            "logsBucket": build.get("logsBucket", f"gs://{LOGS}"),
        }
        self.builds[name] = {"build": build, "lines": [], "location": location}
        thread = threading.Thread(target=self._run, args=(name,), daemon=True)
        self.threads.append(thread)
        thread.start()
        return {
            "name": f"operations/build/{project}/{name}",
            "metadata": {
                "@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata",
                "build": build,
            },
        }

    def allowed(self, project):
        if project in self.denied:
            raise RefusedError(403, "PERMISSION_DENIED", "The caller does not have permission")

    def found(self, project, name):
        self.allowed(project)
        kept = self.builds.get(name)
        if kept is None or kept["build"]["projectId"] != project:
            raise missing("Requested entity was")
        with self.lock:
            return kept["build"]

    def described(self, project, name):
        """A build, as soon as there is news of it, which the test may decide.

        Each question takes gcloud a second of processor time, and the answer to most would be
        that the build is still running.
        """
        deadline = time.monotonic() + 250
        while not self.is_news(build := self.found(project, name)):
            if time.monotonic() > deadline:
                raise RefusedError(504, "DEADLINE_EXCEEDED", "nothing new came about")
            time.sleep(0.05)
        return build

    def cancel(self, project, name):
        build = self.found(project, name)
        if build["status"] not in OVER:
            self.builds[name]["cancelled"] = True
            if name in self.processes:
                self.processes[name].send_signal(signal.SIGTERM)
            else:
                self._set(name, status="CANCELLED", finishTime=now())
        return self.found(project, name)

    def _set(self, name, **fields):
        with self.lock:
            self.builds[name]["build"] = self.builds[name]["build"] | fields

    def _run(self, name):
        kept = self.builds[name]
        build, folder = kept["build"], self.folder / name
        workspace, logs = folder / "workspace", folder / "logs"
        workspace.mkdir(parents=True)
        source = build.get("source", {}).get("storageSource")
        if source:
            archive = folder / "source.tgz"
            archive.write_bytes(self.read(source["bucket"], source["object"])[0])
            with tarfile.open(archive) as tar:
                tar.extractall(workspace, filter="data")
        self.before()
        # A build file has no source; it is what is in the workspace.
        file = {key: value for key, value in build.items() if key != "source"}
        (folder / "build.json").write_text(json.dumps(file))
        if kept.get("cancelled"):
            return
        command = self.build_command(folder / "build.json", logs)
        with (folder / "said").open("wb") as said:
            process = subprocess.Popen(command, cwd=workspace, stdout=said, stderr=said)
        self.processes[name] = process
        if kept.get("cancelled"):
            process.send_signal(signal.SIGTERM)
        self._set(name, status="WORKING", startTime=now())
        read = {}
        while process.poll() is None:
            self._look(name, logs, read)
            time.sleep(0.2)
        self._look(name, logs, read)
        self._end(name, folder, logs, process.returncode)

    def _look(self, name, logs, read):
        """Take over what the report says of each step, and what is new in the logs."""
        with contextlib.suppress(FileNotFoundError):
            report = json.loads((logs / "report.json").read_bytes())
            steps = self.builds[name]["build"]["steps"]
            told = [dict(step) for step in steps]
            for number, (step, entry) in enumerate(zip(told, report["steps"], strict=False)):
                step["status"] = STATES[entry["state"]]
                times = {"startTime": entry["started"], "endTime": entry["finished"]}
                if entry["started"]:
                    step["timing"] = {key: value for key, value in times.items() if value}
                if entry["exit_code"]:
                    step["exitCode"] = entry["exit_code"]
                if entry["log"]:
                    self._append(name, number, step, logs / entry["log"], read)
            self._set(name, steps=told)

    def _append(self, name, number, step, path, read):
        """New whole lines of a step's log, as Cloud Build writes them into the build's own."""
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes()[read.get(path, 0) :]
            whole = data[: data.rfind(b"\n") + 1]
            read[path] = read.get(path, 0) + len(whole)
            lines = whole.decode(errors="replace").splitlines()
            with self.lock:
                kept = self.builds[name]
                kept["lines"] += [
                    (now(), f'Step #{number} - "{step["id"]}": {line}') for line in lines
                ]

    def _end(self, name, folder, logs, code):
        cancelled = self.builds[name].get("cancelled")
        fields = {"status": {0: "SUCCESS"}.get(code, "FAILURE"), "finishTime": now()}
        if cancelled:
            fields["status"] = "CANCELLED"
        if code == 0 and (logs / "report.json").exists():
            report = json.loads((logs / "report.json").read_bytes())
            own = len(self.builds[name]["build"]["steps"])
            pushed = [entry for entry in report["steps"][own:] if entry["kind"] == "push"]
            images = [{"name": e["images"][0], "digest": e["digest"]} for e in pushed]
            fields["results"] = {"images": images} if images else {}
        elif code and not cancelled:
            detail = (folder / "said").read_text()[-300:]
            fields["failureInfo"] = {"type": "USER_BUILD_STEP", "detail": detail}
        self._set(name, **fields)

    # ---- triggers

    def trigger(self, project, name, body, *, create):
        self.allowed(project)
        key = project, body.get("name") or name
        if not create and key not in self.triggers:
            raise missing("trigger")
        made = body | {"id": str(uuid.uuid4()), "createTime": now()}
        self.triggers[key] = made
        return made


def parts_of(body, content_type):
    """The bytes of each part of a multipart body; the email parser would mend line ends in them."""
    boundary = re.search(r"""boundary=['"]?([^'";]+)""", content_type)[1].encode()
    for part in re.split(rb"(?:^|\r?\n)--" + re.escape(boundary), body)[1:-1]:
        yield re.split(rb"\r?\n\r?\n", part, maxsplit=1)[1]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers one connection; `server.cloud` holds the state."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes, and the second would wait for the other side's word.
    disable_nagle_algorithm = True

    @property
    def cloud(self):
        return self.server.cloud

    def log_message(self, *_):
        pass

    def handle_any(self):
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.cloud.asked.append((self.command, self.path))
        try:
            answer = self.answer(urllib.parse.unquote(parts.path), parts.path, query, body)
        except RefusedError as refused:
            error = {"code": refused.code, "message": str(refused), "status": refused.status}
            self.say(refused.code, json.dumps({"error": error}).encode())
            return
        except Exception as error:
            told = {"code": 501, "message": repr(error), "status": "UNIMPLEMENTED"}
            self.say(501, json.dumps({"error": told}).encode())
            return
        if isinstance(answer, tuple):
            self.say_media(*answer)
        else:
            self.say(200, json.dumps(answer).encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def say(self, code, data, kind="application/json", **headers):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def say_media(self, data, kind):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match is None:
            self.say(200, data, kind)
            return
        begin = int(match[1])
        end = min(int(match[2] or len(data)), len(data) - 1)
        if begin >= len(data):
            self.say(416, b"", kind)
            return
        part = data[begin : end + 1]
        self.say(206, part, kind, Content_Range=f"bytes {begin}-{end}/{len(data)}")

    def answer(self, path, raw, query, body):
        if "/storage/v1/" in path:
            return self.storage(raw, query, body)
        if path == "/v2/entries:list":
            return self.logging(json.loads(body))
        match = re.fullmatch(
            r"/v1/projects/([^/]+)(?:/locations/([^/]+))?/(builds|triggers|repositories)"
            r"(?:/([^/:]+))?(?::(\w+))?",
            path,
        )
        if match is None:
            raise missing(path)
        project, location, kind, name, verb = match.groups()
        return getattr(self, kind)(project, location or "global", name, verb, body)

    def builds(self, project, location, name, verb, body):
        if verb == "cancel":
            return self.cloud.cancel(project, name)
        if name:
            return self.cloud.described(project, name)
        if self.command == "POST":
            return self.cloud.create(project, location, json.loads(body))
        self.cloud.allowed(project)
        kept = [kept["build"] for kept in self.cloud.builds.values()]
        return {"builds": [b for b in kept if b["projectId"] == project][::-1]}

    def triggers(self, project, location, name, verb, body):
        return self.cloud.trigger(project, name, json.loads(body), create=self.command == "POST")

    def repositories(self, project, location, name, verb, body):
        self.cloud.allowed(project)
        if (project, location, name) not in self.cloud.repositories:
            raise missing("Requested entity was")
        whole = f"projects/{project}/locations/{location}/repositories/{name}"
        return {"name": whole, "format": "DOCKER", "mode": "STANDARD_REPOSITORY"}

    def storage(self, raw, query, body):
        rest = raw.partition("/storage/v1/b")[2].lstrip("/")
        bucket, _, inside = rest.partition("/o")
        name = urllib.parse.unquote(inside.lstrip("/"))
        if raw.startswith("/upload/"):
            return self.upload(bucket, query, body)
        if name:
            if query.get("alt") != "media":
                return self.cloud.about(bucket, name)
            return self.cloud.read(bucket, name)
        if bucket and "/o" in rest:
            keys = [k for b, k in self.cloud.objects if b == bucket]
            return {"items": [self.cloud.about(bucket, k) for k in keys]}
        return self.cloud.bucket(bucket) if bucket else self.all_buckets(query, body)

    def all_buckets(self, query, body):
        if self.command == "POST":
            name = json.loads(body)["name"]
            self.cloud.buckets.add(name)
            return self.cloud.bucket(name)
        found = (b for b in self.cloud.buckets if b.startswith(query.get("prefix", "")))
        return {"items": [self.cloud.bucket(name) for name in found]}

    def upload(self, bucket, query, body):
        self.cloud.bucket(bucket)
        if query.get("uploadType") == "multipart":
            about, media = parts_of(body, self.headers["Content-Type"])
            name = query.get("name") or json.loads(about)["name"]
            return self.cloud.put(bucket, name, media, "application/gzip")
        raise RefusedError(501, "UNIMPLEMENTED", f"upload {query}")

    def logging(self, asked):
        name = re.search(r'build_id="([\w-]+)"', asked["filter"])[1]
        since = re.search(r'timestamp>="([^"]+)"', asked["filter"])[1]
        resource = {"type": "build", "labels": {"build_id": name}}
        entries = [
            {"insertId": str(n), "textPayload": line, "timestamp": when, "resource": resource}
            for n, (when, line) in enumerate(self.cloud.builds[name]["lines"])
            if moment(when) >= moment(since)
        ]
        return {"entries": entries}


def moment(text):
    return datetime.datetime.fromisoformat(text)


def builder(docker, ca_bundle):
    """The command that executes a build file with the local engine, as Cloud Build would."""

    def command(build_file, logs):
        return [
            *(sys.executable, "-m", "imagekit", "build", "--file", str(build_file), "--push"),
            *("--force", "--fail-fast", "--docker", docker, "--network", "host"),
            *("--secret", f"id=ca_bundle,src={ca_bundle}", "--logs", str(logs)),
        ]

    return command


def gcloud():
    return shutil.which("gcloud")


def call(cloud, config, *args, cwd=None, **environment):
    """Run gcloud against the service: its finished process."""
    env = os.environ | cloud.environment(config) | environment
    command = [gcloud(), *args]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
