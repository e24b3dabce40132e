"""A PyTorch module into the files Intaglio reads: ONNX at several opsets, `.pt2` at three levels of decomposition."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

MAX_SEQUENCE = 512


class ExportError(Exception):
    """An export that came out differently from what the tests rely on."""


def _example(with_mask: bool) -> dict[str, torch.Tensor]:
    ids = torch.arange(3 * 19, dtype=torch.int64).reshape(3, 19) + 1000
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)} if with_mask else {"input_ids": ids}


def _dynamic_shapes(example: dict[str, torch.Tensor]) -> dict[str, dict[int, torch.export.Dim]]:
    batch = torch.export.Dim("batch")
    sequence = torch.export.Dim("sequence", max=MAX_SEQUENCE)
    return {name: {0: batch, 1: sequence} for name in example}


def check_dynamic(program: torch.export.ExportedProgram) -> None:
    """Batch and sequence must both be free from 1 on; the sequence ends at 512."""
    ranges = sorted((int(r.lower), str(r.upper)) for r in program.range_constraints.values())
    if len(ranges) != 2 or any(low > 1 for low, _ in ranges) or str(MAX_SEQUENCE) not in {up for _, up in ranges}:
        raise ExportError(f"the export fixed a dimension: range constraints {program.range_constraints}")


def export_program(module: torch.nn.Module, with_mask: bool) -> torch.export.ExportedProgram:
    """The training IR, batch and sequence dynamic."""
    example = _example(with_mask)
    program = torch.export.export(module, (), example, dynamic_shapes=_dynamic_shapes(example))
    check_dynamic(program)
    return program


def write_pt2(program: torch.export.ExportedProgram, level: str, path: Path) -> None:
    """`level`: training (as exported), inference (`run_decompositions({})`) or core (core ATen)."""
    if level == "inference":
        program = program.run_decompositions({})
    elif level == "core":
        program = program.run_decompositions()
    check_dynamic(program)
    torch.export.save(program, str(path))


def write_onnx(module: torch.nn.Module, opset: int, outputs: list[str], with_mask: bool, path: Path) -> None:
    """ONNX through the dynamo exporter; weights go to `<path>.data` beside the model."""
    example = _example(with_mask)
    exported = torch.onnx.export(
        module,
        (),
        str(path),
        kwargs=example,
        dynamic_shapes=_dynamic_shapes(example),
        output_names=outputs,
        dynamo=True,
        opset_version=opset,
        verbose=False,
    )
    declared = exported.model.opset_imports[""]
    if declared != opset:
        raise ExportError(f"{path.name}: asked for opset {opset}, got {declared}")
    for value in exported.model.graph.inputs:
        if any(isinstance(dim, int) for dim in value.shape):
            raise ExportError(f"{path.name}: input {value.name} has a fixed dimension {value.shape}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporters report deprecations of their own insides; only errors are of interest here."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
