"""PyTorch modules for the catalogue: public structures, weights from a fixed seed (or the real ones of MiniLM)."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from catalogue import Spec

SEED = 20260101

FAMILIES = {
    "bert": (transformers.BertConfig, transformers.BertModel),
    "roberta": (transformers.RobertaConfig, transformers.RobertaModel),
    "distilbert": (transformers.DistilBertConfig, transformers.DistilBertModel),
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
    "gptj": (transformers.GPTJConfig, transformers.GPTJForCausalLM),
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
}


def _lively_weights(module: torch.nn.Module) -> None:
    """Weights that let a mistake show: the usual initialisation has zero biases, unit gains and nearly uniform
    attention, so a dropped bias, a swapped gain or an ignored mask would go unnoticed."""
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if any(part in name.lower() for part in ("norm", "ln_")) and name.endswith("weight"):
                parameter.copy_(1.0 + 0.1 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.05 * noise)
            elif any(part in name for part in ("query", "key", "q_lin", "k_lin", "c_attn")):
                parameter.copy_(0.04 * noise)
            else:
                parameter.copy_(0.02 * noise)


def build(spec: Spec, source: Path | None = None) -> torch.nn.Module:
    """The module of `spec` in evaluation mode, float32; `source` is the folder of real weights where there are any."""
    config_type, model_type = FAMILIES[spec.family]
    if spec.real_weights:
        module = model_type.from_pretrained(str(source), attn_implementation=spec.attention, local_files_only=True)
    else:
        torch.manual_seed(SEED)
        module = model_type(config_type(**spec.settings, attn_implementation=spec.attention))
        _lively_weights(module)
    return module.to(torch.float32).eval()
