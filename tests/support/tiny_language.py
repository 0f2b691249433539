"""Tiny language models that serve as text encoders, and their tokenizers, built offline."""

from __future__ import annotations

import json
from typing import Any

from tests.support.tiny import SENTENCES


def byte_tokenizer(*special: str) -> Any:
    """Byte-level BPE of the `tokenizers` library, the special tokens first."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tok.train_from_iterator(SENTENCES, trainer)
    return tok


def trained(tokenizer: Any) -> dict[str, Any]:
    """Vocabulary and merges, as the classes of transformers take them."""
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    return {"vocab": model["vocab"], "merges": merges}


def llama2_tokenizer() -> Any:
    """Pieces with bytes to fall back on, spaces as marks."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaTokenizer

    special = ["<unk>", "<s>", "</s>"]
    tok = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    tok.train_from_iterator(SENTENCES, trainer)
    built = LlamaTokenizer(**trained(tok))
    built.pad_token = "</s>"
    return built


def llama3_tokenizer() -> Any:
    """As that of Llama 3: a begin, and no padding token of its own."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    begin, end = "<|begin_of_text|>", "<|end_of_text|>"
    tok = byte_tokenizer(begin, end)
    tok.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tok, bos_token=begin, eos_token=end)


def qwen_tokenizer() -> Any:
    """As that of Qwen, with a short chat template."""
    from transformers import Qwen2Tokenizer

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokenizer = Qwen2Tokenizer(**trained(byte_tokenizer(*special)))
    tokenizer.add_tokens(list(special[1:]), special_tokens=True)
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


def mistral_tokenizer() -> Any:
    """As Tekken: instructions in brackets, content in parts."""
    from transformers import PreTrainedTokenizerFast

    special = ("<s>", "</s>", "<pad>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=byte_tokenizer(*special),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
    )
    tokenizer.chat_template = (
        "<s>{% for m in messages %}"
        "{% set mark = 'SYSTEM_PROMPT' if m.role == 'system' else 'INST' %}"
        "[{{ mark }}]{% for part in m.content %}{{ part.text }}{% endfor %}[/{{ mark }}]"
        "{% endfor %}"
    )
    return tokenizer


def qwen3() -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(
        Qwen3Config(
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=2,
            head_dim=8,
            vocab_size=512,
            max_position_embeddings=512,
        )
    )


def mistral3() -> Any:
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration

    text = {
        "model_type": "mistral",
        "vocab_size": 512,
        "hidden_size": 16,
        "intermediate_size": 37,
        "max_position_embeddings": 512,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "num_hidden_layers": 3,
        "head_dim": 8,
        "rms_norm_eps": 1e-5,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
    }
    vision = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 37,
        "image_size": 30,
        "patch_size": 6,
        "num_channels": 3,
    }
    return Mistral3ForConditionalGeneration(
        Mistral3Config(
            text_config=text, vision_config=vision, image_token_index=3, vision_feature_layer=-1
        )
    )


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=512,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            bos_token_id=0,
            eos_token_id=1,
        )
    )
