"""The models of the tests and benchmarks. Structures are public configurations, written out: nothing is looked up."""

from __future__ import annotations

from dataclasses import dataclass, field

Shape = tuple[int, int]

# Batch and sequence lengths of the test models; a shape with more than one row gets padded rows.
TEST_SHAPES: tuple[Shape, ...] = ((1, 1), (1, 7), (1, 32), (1, 128), (1, 512), (3, 1), (3, 7), (3, 32), (3, 128))
# Decoders: the wide ones are gigabytes, so fewer and shorter.
DECODER_SHAPES: tuple[Shape, ...] = ((1, 1), (1, 7), (1, 32), (1, 128), (3, 7), (3, 32))
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

# Decoders run without a cache (prefill) and answer with logits. The vocabularies are cut: they only add bytes.
GPT2 = {
    "vocab_size": 2000,
    "n_embd": 768,
    "n_layer": 2,
    "n_head": 12,
    "n_positions": 1024,
    "activation_function": "gelu_new",
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "use_cache": False,
}
GPTJ = {
    "vocab_size": 2000,
    "n_embd": 4096,
    "n_layer": 2,
    "n_head": 16,
    "rotary_dim": 64,
    "n_positions": 2048,
    "activation_function": "gelu_new",
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
    "use_cache": False,
}
# The width of the smallest Llama 3: four query heads share a key/value head.
LLAMA = {
    "vocab_size": 2000,
    "hidden_size": 2048,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 8192,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "tie_word_embeddings": True,
    "use_cache": False,
}
LLAMA_FORMS = ("op20.onnx", *ALL_FORMS[3:])
GPTJ_NARROW = GPTJ | {"n_embd": 256, "n_head": 4, "rotary_dim": 32}
LLAMA_NARROW = LLAMA | {
    "hidden_size": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 704,
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
        # Core ATen of GPT-2 does not exist: PyTorch 2.13 cannot decompose it with both dims dynamic.
        Spec("gpt2-2", "gpt2", GPT2, ("op20.onnx", "op23.onnx", "training.pt2", "inference.pt2")),
        Spec("gpt2-2-nomask", "gpt2", GPT2, ("op20.onnx", *ALL_FORMS[3:5]), DECODER_SHAPES, with_mask=False),
        Spec("gptj-2", "gptj", GPTJ, ("op20.onnx", "training.pt2"), DECODER_SHAPES, attention="eager"),
        Spec("gptj-narrow-2", "gptj", GPTJ_NARROW, ALL_FORMS[1:], attention="eager"),
        Spec("llama-wide-2", "llama", LLAMA, ("op20.onnx", "op23.onnx", "training.pt2"), DECODER_SHAPES),
        Spec("llama-narrow-2", "llama", LLAMA_NARROW, ALL_FORMS[1:]),
        # Without padding: its softmax is float32 in float64 too, so the reference would be NaN where nothing is visible.
        Spec("llama-narrow-2-eager", "llama", LLAMA_NARROW, LLAMA_FORMS, attention="eager", with_mask=False),
        Spec("llama-narrow-2-nomask", "llama", LLAMA_NARROW, LLAMA_FORMS, with_mask=False),
        Spec("bert-base", "bert", BERT, BENCH_FORMS, BENCH_SHAPES),
        Spec("bert-large", "bert", BERT_LARGE, BENCH_FORMS, BENCH_SHAPES),
        Spec("roberta-base", "roberta", ROBERTA, BENCH_FORMS, BENCH_SHAPES),
        Spec("distilbert-base", "distilbert", DISTILBERT, BENCH_FORMS, BENCH_SHAPES),
        Spec("minilm", "bert", {}, ("op20.onnx", *ALL_FORMS[3:]), real_weights=True),
    )
}

DECODERS = tuple(spec.name for spec in SPECS.values() if spec.family in {"gpt2", "gptj", "llama"})


def means_something_else(spec: Spec, form: str, case: str) -> bool:
    """Whether a query of `case` sees no key, and the file attends evenly to all then where PyTorch answers 0: ONNX
    below opset 23 masks with the lowest finite float. In decoders that is any query before the first token that is not
    padding, so every case with a row padded on the left. Eager attention does the same in PyTorch itself."""
    if spec.attention != "sdpa" or not spec.with_mask or not form.endswith(("op18.onnx", "op20.onnx")):
        return False
    return case == ALL_MASKED or (spec.name in DECODERS and case.startswith("b3_") and case != "b3_s1")


GROUPS: dict[str, tuple[str, ...]] = {
    "test": (
        *("bert-2", "bert-2-eager", "bert-2-nomask", "bert-large-2", "roberta-2", "distilbert-2", "minilm"),
        *DECODERS,
    ),
    "decoders": DECODERS,
    "bench": ("bert-base", "bert-large", "roberta-base", "distilbert-base"),
}
