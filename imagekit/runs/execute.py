"""Execute a notebook with papermill and record how it ended."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.metadata
import logging
import os
import pathlib
import platform
import signal
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import msgspec
import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import LocalHandler, papermill_io
from traitlets.config import Config as Traits

from imagekit.errors import INTERRUPTED, StoreError, UsageError, did_you_mean, exit_code_of
from imagekit.runs import record
from imagekit.runs.parameters import unformatted
from imagekit.runs.record import RESULT_TYPE, RUN_VARIABLE, CellError, Outcome, Record
from imagekit.runs.store import Store
from imagekit.support import git, shipped, workspace
from imagekit.support.clock import Clock
from imagekit.support.files import replace_file, sha256

SCHEME = "imagekit-run://"
"""The prefix of paths that papermill writes in one step; see `_AtomicHandler`."""


class Run(msgspec.Struct, frozen=True):
    """A run that has ended."""

    record: Record
    """The record of the run."""
    address: str
    """The address of the executed notebook, or of the record if there is none."""
    outputs: tuple[str, ...]
    """The outputs of the notebook as text."""
    stderr: tuple[str, ...]
    """What the notebook wrote to stderr."""
    summary: tuple[str, ...]
    """The result in a few lines, if the notebook gives any; it is not among the outputs then."""


def find(name: str, root: pathlib.Path) -> pathlib.Path:
    """The path of a notebook, from its path, or its name in the project's `notebooks/`.

    A name that the project does not have is one of the notebooks that imagekit brings along.
    Raises UsageError if there is none.
    """
    folders = shipped.notebook_folders(root)
    named = [folder / file for folder in folders for file in (f"{name}.ipynb", name)]
    for path in (pathlib.Path(name), *named):
        if path.suffix == ".ipynb" and path.is_file():
            return path.resolve()
    known = [path.stem for path in shipped.notebooks(root)]
    near = did_you_mean(name, known) or f"; available: {', '.join(known)}"
    raise UsageError(f"notebook {name!r} not found in {folders[0]}{near}")


def execute(
    notebook: pathlib.Path,
    parameters: dict[str, Any],
    *,
    store: Store,
    cell_timeout: int | None = None,
    progress: bool = False,
) -> Run:
    """Execute a notebook from its project's root and write its record, however it ends.

    `parameters` come from `parameters.typed`; `cell_timeout` is in seconds, None for no limit.
    """
    clock = Clock()
    started = clock.now()
    root = workspace.root()
    name = record.new_run(notebook, started)
    running = Record(
        run=name,
        notebook=_name(notebook, root),
        outcome="running",
        started=started.isoformat(),
        parameters=parameters,
        notebook_sha256=sha256(notebook),
        commit=git.commit(root),
        versions=_versions(),
        host=platform.node(),
        process=os.getpid(),
    )
    record.write(store, running)
    engine = {"parameters": parameters, "progress_bar": progress, "execution_timeout": cell_timeout}
    with store.local_folder() as folder:
        path = folder / f"{name}.ipynb"
        variables = {RUN_VARIABLE: f"{store.address.rstrip('/')}/{name}"}
        outcome, cell = _outcome(notebook, path, root, engine, variables)
        return _finish(running, outcome, cell, store, _read(path), clock.now())


def _name(notebook: pathlib.Path, root: pathlib.Path) -> str:
    """The path of a notebook as it is on record: one that imagekit brings along has no other."""
    own = shipped.root()
    return os.path.relpath(notebook, own if notebook.is_relative_to(own / "notebooks") else root)


def _finish(
    running: Record,
    outcome: Outcome,
    cell: CellError | None,
    store: Store,
    executed: Any,
    ended: datetime.datetime,
) -> Run:
    exited = _system_exit(executed)
    if outcome in ("succeeded", "failed") and exited is not None:
        outcome, cell = "exited", exited
    data = _portable(nbformat.writes(_with_outcome(executed, running.run, outcome))).encode()
    finished = msgspec.structs.replace(
        running,
        outcome=outcome,
        cell=cell,
        finished=ended.isoformat(),
        seconds=record.seconds_between(running.started, ended),
        exit_code=_exit_code(outcome, cell),
        host=None,
        process=None,
        result=_result(executed),
        executed_sha256=hashlib.sha256(data).hexdigest() if executed.cells else None,
    )
    return Run(
        record=finished,
        address=_save(store, finished, data if executed.cells else None),
        outputs=tuple(_texts(executed, stderr=False)),
        stderr=tuple(_texts(executed, stderr=True)),
        summary=_summary(finished.result),
    )


def _save(store: Store, finished: Record, data: bytes | None) -> str:
    """Write the files of a run to the store; return the address.

    If the store fails, the files are written locally before StoreError is raised.
    """
    try:
        return _write(store, finished, data)
    except StoreError as error:
        local = _save_locally(finished, data)
        remedy = f"the run ({finished.outcome}) was saved as {local}; copy it and its record there"
        raise StoreError(f"{error}; {remedy}") from None


def _write(store: Store, finished: Record, data: bytes | None) -> str:
    if data is not None:
        store.write(f"{finished.run}.ipynb", data)
    record.write(store, finished)
    return store.path(f"{finished.run}{'.json' if data is None else '.ipynb'}")


def _save_locally(finished: Record, data: bytes | None) -> str:
    """Write a run to the project's own store, else to a temporary folder."""
    try:
        return _write(Store(workspace.runs()), finished, data)
    except UsageError:
        return _write(Store(tempfile.mkdtemp(prefix="imagekit-run-")), finished, data)


def _outcome(
    notebook: pathlib.Path,
    path: pathlib.Path,
    root: pathlib.Path,
    engine: dict[str, Any],
    variables: dict[str, str],
) -> tuple[Outcome, CellError | None]:
    """Execute the notebook and return how it ended. `variables` go to the kernel."""
    with tempfile.TemporaryFile() as kernel_stderr:
        try:
            with _terminable():
                _papermill(notebook, path, root, engine, _kernel_manager(kernel_stderr, variables))
        except PapermillExecutionError as error:
            return "failed", CellError(
                number=error.exec_count, error=error.ename, message=error.evalue
            )
        except CellTimeoutError:
            limit = engine["execution_timeout"]
            return "timed out", _last_cell(path, "CellTimeoutError", f"exceeded {limit} s")
        except DeadKernelError:
            kernel_stderr.seek(0)
            output = kernel_stderr.read().decode(errors="replace")[-2000:].strip()
            message = "\n".join(["the kernel died", output]).strip()
            return "kernel died", _last_cell(path, "DeadKernelError", message)
        except KeyboardInterrupt as interrupt:
            name = type(interrupt).__name__
            return "interrupted", _last_cell(path, name, "interrupted")
        except Exception as error:
            return "failed", _last_cell(path, type(error).__name__, str(error))
    return "succeeded", None


def _papermill(
    notebook: pathlib.Path,
    path: pathlib.Path,
    root: pathlib.Path,
    engine: dict[str, Any],
    kernel_manager: type[AsyncKernelManager],
) -> None:
    # The record has what papermill would log.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    # After an interrupt, nbclient may leave a task behind that asyncio would warn about.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    papermill_io.register(SCHEME, _AtomicHandler())
    quiet = Traits()
    # ipykernel 7.3 and later warn about unencrypted connections.
    quiet.KernelManager.transport_encryption = "auto"
    papermill.execute_notebook(
        unformatted(notebook),
        SCHEME + unformatted(path),
        cwd=root,
        kernel_manager_class=kernel_manager,
        config=quiet,
        **engine,
    )


def _kernel_manager(
    kernel_stderr: IO[bytes], variables: dict[str, str]
) -> type[AsyncKernelManager]:
    class KernelManager(AsyncKernelManager):
        """Redirects the stderr of the kernel, which gets tracebacks if a cell is interrupted."""

        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
            environment = {**os.environ, **(kwargs.pop("env", None) or {}), **variables}
            await super().start_kernel(stderr=kernel_stderr, env=environment, **kwargs)

    return KernelManager


class _AtomicHandler(LocalHandler):  # type: ignore[misc]
    """Writes a notebook in one step.

    papermill writes it in place after each cell; a killed process would leave a partial file.
    """

    def write(self, buf: str, path: str) -> None:
        replace_file(pathlib.Path(path.removeprefix(SCHEME)), _portable(buf).encode())


def _portable(text: str) -> str:
    return record.portable(text.replace(SCHEME, ""), workspace.root())


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP. asyncio propagates KeyboardInterrupt, but not other exceptions."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Raise Terminated on SIGTERM and SIGHUP, to stop the kernel and write the record."""

    def terminate(*_: object) -> None:
        raise Terminated

    handlers = {n: signal.signal(n, terminate) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _exit_code(outcome: Outcome, cell: CellError | None) -> int:
    if outcome == "succeeded":
        return 0
    if outcome == "interrupted":
        return INTERRUPTED
    if outcome == "exited" and cell is not None:
        status = cell.message or "0"
        return int(status) & 0xFF if status.removeprefix("-").isdigit() else 1
    return exit_code_of(cell.error) if cell is not None else 1


def _versions() -> dict[str, str]:
    names = ("imagekit", "papermill", "nbclient", "ipykernel", "pandas")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


# ---- reading the executed notebook


def _with_outcome(executed: Any, run: str, outcome: Outcome) -> Any:
    # papermill's metadata says "completed" for a killed kernel and "exception" for exit 0.
    executed.metadata["imagekit"] = {"run": run, "outcome": outcome}
    return executed


def _read(path: pathlib.Path) -> Any:
    if not path.exists():
        return nbformat.v4.new_notebook()
    return nbformat.read(path, as_version=4)


def _outputs(executed: Any) -> Iterator[tuple[Any, Any]]:
    for cell in executed.cells:
        for out in cell.get("outputs", ()):
            yield cell, out


def _system_exit(executed: Any) -> CellError | None:
    for cell, out in _outputs(executed):
        if out.output_type == "error" and out.ename == "SystemExit":
            return CellError(number=cell.execution_count, error=out.ename, message=out.evalue)
    return None


def _last_cell(path: pathlib.Path, error: str, message: str) -> CellError:
    """The last cell that papermill started; a dead kernel has no execution count for it."""
    code = [cell for cell in _read(path).cells if cell.cell_type == "code"]
    about = [cell.metadata.get("papermill", {}) for cell in code]
    started = [number for number, data in enumerate(about, 1) if data.get("start_time")]
    return CellError(number=started[-1] if started else None, error=error, message=message)


def _result(executed: Any) -> dict[str, Any] | None:
    data = (out.get("data", {}).get(RESULT_TYPE) for _, out in _outputs(executed))
    # Other notebooks may use the media type for other values.
    results = [dict(value) for value in data if isinstance(value, dict)]
    return results[-1] if results else None


def _summary(result: Any) -> tuple[str, ...]:
    lines = result.get("summary") if isinstance(result, dict) else None
    return tuple(map(str, lines)) if isinstance(lines, list) else ()


def _texts(executed: Any, *, stderr: bool) -> Iterator[str]:
    """The outputs of the notebook as text, or what it wrote to stderr."""
    for _, out in _outputs(executed):
        data = out.get("data", {})
        if _summary(data.get(RESULT_TYPE)):
            continue
        text = out.get("text") or data.get("text/plain", "")
        if text and (out.get("name") == "stderr") == stderr:
            yield str(text).rstrip("\n")
