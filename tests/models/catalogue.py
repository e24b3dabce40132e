"""The models of the tests and benchmarks. Structures are public configurations, written out: nothing is looked up."""

from __future__ import annotations

from dataclasses import dataclass, field

Shape = tuple[int, int]

# Batch and sequence lengths of the test models; a shape with more than one row gets padded rows.
TEST_SHAPES: tuple[Shape, ...] = ((1, 1), (1, 7), (1, 32), (1, 128), (1, 512), (3, 1), (3, 7), (3, 32), (3, 128))
BENCH_SHAPES: tuple[Shape, ...] = ((1, 8), (1, 32), (1, 128), (1, 512), (2, 16))

# The case with a row in which every position is masked.
ALL_MASKED = "b2_s5_masked"

ALL_FORMS = ("op18.onnx", "op20.onnx", "op23.onnx", "training.pt2", "inference.pt2", "core.pt2")
BENCH_FORMS = ("op20.onnx", "training.pt2", "inference.pt2")


@dataclass(frozen=True)
class Spec:
    """One model: its family and configuration, which files are made of it, and with which inputs it is tried."""

    name: str
    family: str
    settings: dict[str, int | float | str] = field(default_factory=dict)
    forms: tuple[str, ...] = ALL_FORMS
    shapes: tuple[Shape, ...] = TEST_SHAPES
    attention: str = "sdpa"
    with_mask: bool = True
    real_weights: bool = False


BERT = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
BERT_LARGE = BERT | {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
ROBERTA = BERT | {
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
DISTILBERT = {
    "vocab_size": 30522,
    "dim": 768,
    "n_layers": 6,
    "n_heads": 12,
    "hidden_dim": 3072,
    "activation": "gelu",
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}

SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec("bert-2", "bert", BERT | {"num_hidden_layers": 2}),
        # The same net with attention spelt out as matmul, softmax, matmul.
        Spec("bert-2-eager", "bert", BERT | {"num_hidden_layers": 2}, ("op20.onnx", *ALL_FORMS[3:]), attention="eager"),
        # Without an attention_mask input: attention without a mask.
        Spec("bert-2-nomask", "bert", BERT | {"num_hidden_layers": 2}, ("op20.onnx", *ALL_FORMS[3:]), with_mask=False),
        Spec("bert-large-2", "bert", BERT_LARGE | {"num_hidden_layers": 2}, ("op20.onnx", *ALL_FORMS[3:])),
        Spec("roberta-2", "roberta", ROBERTA | {"num_hidden_layers": 2}, ("op20.onnx", *ALL_FORMS[3:])),
        Spec("distilbert-2", "distilbert", DISTILBERT | {"n_layers": 2}, ("op20.onnx", *ALL_FORMS[3:])),
        Spec("bert-base", "bert", BERT, BENCH_FORMS, BENCH_SHAPES),
        Spec("bert-large", "bert", BERT_LARGE, BENCH_FORMS, BENCH_SHAPES),
        Spec("roberta-base", "roberta", ROBERTA, BENCH_FORMS, BENCH_SHAPES),
        Spec("distilbert-base", "distilbert", DISTILBERT, BENCH_FORMS, BENCH_SHAPES),
        Spec("minilm", "bert", {}, ("op20.onnx", *ALL_FORMS[3:]), real_weights=True),
    )
}

GROUPS: dict[str, tuple[str, ...]] = {
    "test": ("bert-2", "bert-2-eager", "bert-2-nomask", "bert-large-2", "roberta-2", "distilbert-2", "minilm"),
    "bench": ("bert-base", "bert-large", "roberta-base", "distilbert-base"),
}
