"""The engines of the transformer benchmark, a row each, and the files that they are started with."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common import OURS, PLANS, generate, plan_of
from tool import ROOT, ToolError
from worker import HERE, Worker, intaglio_worker, peer_environment, peer_worker

from catalogue import SPECS  # isort: skip (found through common)

MADE = ROOT / ".cache" / "peers"


@dataclass(frozen=True)
class Subject:
    """A model as every engine gets it: the file for ours, the .onnx file, its name in the catalogue (for PyTorch)."""

    name: str
    source: Path
    onnx: Path
    inputs: tuple[str, ...]
    key: str
    torch: str | None = None
    vocabulary: int = 2000  # at least


def _key(name: str, weights: Path) -> str:
    """Tells models apart in caches: by structure and weights, so that making the same files anew changes nothing."""
    with open(weights, "rb") as file:
        digest = hashlib.file_digest(file, "blake2b")
    spec = SPECS[name]
    digest.update(repr((spec.family, sorted(spec.settings.items()), spec.attention, spec.with_mask)).encode())
    return digest.hexdigest()


@functools.cache
def subject(name: str, form: str = "training.pt2") -> Subject:
    """A model of tests/models/catalogue.py, made unless it is there."""
    folder = generate(name)
    inputs = tuple(json.loads((folder / "model.json").read_text())["inputs"])
    key = _key(name, folder / f"{name}.op20.onnx.data")
    vocabulary = int(SPECS[name].settings.get("vocab_size", Subject.vocabulary))
    return Subject(name, folder / f"{name}.{form}", folder / f"{name}.op20.onnx", inputs, key, name, vocabulary)


def _made(model: Subject, kind: str, suffix: str, expected_name: str) -> Path:
    """A file of quantise.py, made unless it is there: in a folder that appears only when it is complete."""
    place = MADE / model.name / f"{kind}-{model.key[:12]}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        print(f"  {model.name}: {expected_name} …", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
            command = [sys.executable, str(HERE / "quantise.py"), kind, str(model.onnx), f"{temporary}/model{suffix}"]
            command.append(str(model.vocabulary))
            environment = {**os.environ, **peer_environment(len(os.sched_getaffinity(0)))}
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
            if done.returncode != 0:
                raise ToolError(f"{expected_name} of {model.name} failed: {done.stderr.strip()[-800:]}")
            shutil.copytree(temporary, place)
    return place / f"model{suffix}"


def onnxruntime_int8(model: Subject) -> Path:
    """The .onnx file after onnxruntime.quantization.quantize_dynamic."""
    return _made(model, "onnxruntime", ".onnx", "quantize_dynamic of ONNX Runtime")


def nncf_int8(model: Subject) -> Path:
    """The OpenVINO IR after NNCF's static quantisation."""
    return _made(model, "nncf", ".xml", "static quantisation by NNCF")


def plan(model: Subject, dtype: str) -> Path:
    """Our plan of `model`, compiled anew."""
    return plan_of(f"{model.name}.{dtype}", model.source, OWN_OPTIONS[dtype])


# What ours are called in results, and the options of `intaglio compile` that make them.
OWN_OPTIONS: dict[str, list[str]] = {
    "f32": [],
    "bf16": ["--dtype", "bf16"],
    "int8": ["--quantize", "dynamic"],
    "int8+bf16": ["--dtype", "bf16", "--quantize", "dynamic"],
}

Start = Callable[["Engine", Subject, int, list[int]], Worker]


@dataclass(frozen=True)
class Engine:
    """`dtype`: f32, bf16, or int8 with what the rest is computed in; `usual`: the best of earlier runs."""

    name: str
    dtype: str
    start_by: Start
    usual: bool = False
    needs_torch: bool = False
    compiles: bool = False  # for each shape, slowly, into a cache
    dynamic: bool = False  # OpenVINO: compiled once for all shapes

    @property
    def label(self) -> str:
        return f"{self.name} {self.dtype}"

    @property
    def contest(self) -> str:
        return self.dtype.split("+")[0]

    def start(self, model: Subject, threads: int, cpus: list[int]) -> Worker:
        """Its process, ready to be loaded with inputs. Raises ToolError."""
        return self.start_by(self, model, threads, cpus)


def _start_ours(engine: Engine, model: Subject, threads: int, cpus: list[int]) -> Worker:
    return intaglio_worker(PLANS / f"{model.name}.{engine.dtype}.plan", threads, cpus, engine.dtype)


def _start_onnxruntime(engine: Engine, model: Subject, threads: int, cpus: list[int]) -> Worker:
    file = model.onnx if engine.dtype == "f32" else onnxruntime_int8(model)
    return peer_worker("onnxruntime", str(file), threads, cpus, dtype=engine.dtype)


def _start_openvino(engine: Engine, model: Subject, threads: int, cpus: list[int]) -> Worker:
    file = nncf_int8(model) if engine.contest == "int8" else model.onnx
    options = ["--dtype", engine.contest, *(["--dynamic"] if engine.dynamic else [])]
    return peer_worker("openvino", str(file), threads, cpus, options, engine.dtype)


def _start_torch(engine: Engine, model: Subject, threads: int, cpus: list[int]) -> Worker:
    rest = "bf16" if "bf16" in engine.dtype else "f32"
    return peer_worker(engine.name, str(model.torch), threads, cpus, ["--dtype", rest], engine.dtype)


# Ours by the contest they are in: bf16 meets our f32, int8 our bf16, in the same rounds.
OWN_ENGINES = {dtype: Engine(OURS, dtype, _start_ours, usual=True) for dtype in OWN_OPTIONS}
OWN_OF_CONTEST = {"f32": ("f32",), "bf16": ("bf16", "f32"), "int8": ("int8+bf16", "int8", "bf16")}


def _torch(name: str, dtype: str, usual: bool, compiles: bool) -> Engine:
    return Engine(name, dtype, _start_torch, usual, needs_torch=True, compiles=compiles)


PEERS = (
    Engine("onnxruntime", "f32", _start_onnxruntime, usual=True),
    Engine("openvino", "f32", _start_openvino, usual=True),
    _torch("inductor", "f32", usual=True, compiles=True),
    _torch("inductor-max", "f32", usual=False, compiles=True),
    _torch("eager", "f32", usual=False, compiles=False),
    Engine("openvino", "bf16", _start_openvino, usual=True),
    _torch("inductor", "bf16", usual=True, compiles=True),
    _torch("inductor-max", "bf16", usual=True, compiles=True),
    _torch("eager", "bf16", usual=False, compiles=False),
    Engine("onnxruntime", "int8", _start_onnxruntime, usual=True),
    Engine("openvino", "int8+bf16", _start_openvino, usual=True),
    _torch("torchao", "int8+bf16", usual=True, compiles=True),
    _torch("torchao", "int8", usual=False, compiles=True),
    _torch("quantize-dynamic", "int8", usual=False, compiles=False),
)
