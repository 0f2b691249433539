"""Assemble the untrained demo model: a Flux pipeline folder small enough to ship.

    python -m bench.demo_model.shell VAE_DIR OUT_DIR

Tokenizers are made from the captions; the text encoders are random and frozen, which is enough
to tell a hundred captions apart; the transformer (4.9 M parameters) starts random and is trained
by the product itself (`presets/demo/pretrain.toml`).
"""

from __future__ import annotations

import json
import math
import re
import string
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from bench.demo_model.concepts import CONCEPTS, wordings

WORDS = [text for caption in CONCEPTS.values() for text in wordings(caption)] * 4
MAX_TOKENS = 16


def clip_tokenizer() -> CLIPTokenizer:
    tok = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    tok.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    split = pre_tokenizers.Split(
        Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True
    )
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<|startoftext|>", "<|endoftext|>"],
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tok.train_from_iterator(WORDS, trainer)
    model = json.loads(tok.to_str())["model"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    return CLIPTokenizer(vocab=model["vocab"], merges=merges, model_max_length=MAX_TOKENS)


def t5_tokenizer() -> T5Tokenizer:
    """A unigram model whose pieces are whole words; letters are there for words it never saw.

    A trained one would cut a hundred short captions into letters and fill the context with them.
    """
    counts = Counter(re.findall(r"\w+", " ".join(WORDS)))
    total = sum(counts.values())
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocab += [(f"▁{word}", math.log(n / total)) for word, n in sorted(counts.items())]
    vocab += [(letter, -20.0) for letter in "▁,.-" + string.ascii_letters + string.digits]
    return T5Tokenizer(vocab=vocab, extra_ids=0, model_max_length=MAX_TOKENS)


def encoders(clip_vocab: int, t5_vocab: int) -> tuple[CLIPTextModel, T5EncoderModel]:
    clip = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=96,
            intermediate_size=192,
            num_attention_heads=4,
            num_hidden_layers=2,
            vocab_size=clip_vocab,
            projection_dim=96,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
            max_position_embeddings=MAX_TOKENS,
        )
    )
    t5 = T5EncoderModel(
        T5Config(
            d_model=128,
            vocab_size=t5_vocab,
            d_ff=256,
            d_kv=32,
            num_layers=1,
            num_heads=4,
            feed_forward_proj="gated-gelu",
        )
    )
    return clip, t5


def transformer() -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=48,
        num_attention_heads=4,
        joint_attention_dim=128,
        pooled_projection_dim=96,
        axes_dims_rope=(8, 20, 20),
        guidance_embeds=False,
    )


@torch.no_grad()
def separation(pipeline: Any) -> float:
    """Least distance between the texts of two concepts, relative to the mean one."""
    embeds, _, _ = pipeline.encode_prompt(
        list(CONCEPTS.values()), prompt_2=None, max_sequence_length=MAX_TOKENS
    )
    distances = torch.pdist(embeds.flatten(1))
    return (distances.min() / distances.mean()).item()


def main(vae_dir: Path, out: Path) -> None:
    torch.manual_seed(1)
    words, pieces = clip_tokenizer(), t5_tokenizer()
    clip, t5 = encoders(len(words), len(pieces))
    vae = AutoencoderKL.from_pretrained(vae_dir, torch_dtype=torch.bfloat16)
    vae.register_to_config(_name_or_path="")  # the builder's own folder says nothing to others
    pipeline = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=vae,
        text_encoder=clip,
        tokenizer=words,
        text_encoder_2=t5,
        tokenizer_2=pieces,
        transformer=transformer(),
    )
    print(f"least separation of two concepts: {separation(pipeline):.2f} of the mean")
    pipeline.text_encoder.to(torch.bfloat16)
    pipeline.text_encoder_2.to(torch.bfloat16)
    pipeline.transformer.to(torch.bfloat16)
    pipeline.save_pretrained(out)


if __name__ == "__main__":
    main(*(Path(a) for a in sys.argv[1:3]))
