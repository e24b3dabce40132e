"""Inputs for a model and what PyTorch eager answers to them, in float32 and in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from catalogue import ALL_MASKED, Shape, Spec


def _lengths_mask(shape: Shape, generator: np.random.Generator) -> np.ndarray:
    """Row 0 is full, row 1 padded on the right, row 2 padded on the left."""
    batch, sequence = shape
    mask = np.ones(shape, dtype=np.int64)
    for row in range(1, batch):
        kept = int(generator.integers(1, sequence + 1)) if sequence > 1 else 1
        if row % 2 == 1:
            mask[row, kept:] = 0
        else:
            mask[row, : sequence - kept] = 0
    return mask


def make_inputs(spec: Spec, shape: Shape, vocabulary: int, pad: int, padded: bool) -> dict[str, np.ndarray]:
    """Seeded token ids (special ids avoided) and the mask; masked positions hold the padding id."""
    generator = np.random.default_rng([shape[0], shape[1], int(padded)])
    ids = generator.integers(1000, vocabulary, size=shape, dtype=np.int64)
    if not spec.with_mask:
        return {"input_ids": ids}
    mask = _lengths_mask(shape, generator)
    if padded:
        mask[0, max(1, shape[1] * 2 // 3) :] = 0
    ids[mask == 0] = pad
    return {"input_ids": ids, "attention_mask": mask}


def _answers(module: torch.nn.Module, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with torch.inference_mode():
        outputs = module(**{name: torch.from_numpy(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}


def case_inputs(spec: Spec, vocabulary: int, pad: int) -> dict[str, dict[str, np.ndarray]]:
    """Every case of `spec` by name: b<batch>_s<sequence>, `_pad` where the only row is padded too."""
    cases: dict[str, dict[str, np.ndarray]] = {}
    for batch, sequence in spec.shapes:
        cases[f"b{batch}_s{sequence}"] = make_inputs(spec, (batch, sequence), vocabulary, pad, False)
    if spec.with_mask:
        cases["b1_s32_pad"] = make_inputs(spec, (1, 32), vocabulary, pad, True)
        # Nothing to attend to in the second row: PyTorch's attention answers 0 there.
        cases[ALL_MASKED] = make_inputs(spec, (2, 5), vocabulary, pad, False)
        cases[ALL_MASKED]["attention_mask"][1] = 0
    return cases


def write_cases(module: torch.nn.Module, cases: dict[str, dict[str, np.ndarray]], folder: Path) -> list[str]:
    """cases/<case>/<input>.npy, expected.npz (float32) and expected64.npz (float64). Returns the output names.
    `module` is in float64 when this returns."""
    names: list[str] = []
    for case, inputs in cases.items():
        where = folder / "cases" / case
        where.mkdir(parents=True)
        for name, value in inputs.items():
            np.save(where / f"{name}.npy", value)
        answers = _answers(module, inputs)
        names = list(answers)
        np.savez(where / "expected.npz", **answers)
    module.to(torch.float64)
    for case, inputs in cases.items():
        np.savez(folder / "cases" / case / "expected64.npz", **_answers(module, inputs))
    return names
