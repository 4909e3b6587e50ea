"""Votes on made-up answers, and a small encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import bayes_pref as bp

WORDS = ("tea", "milk", "rain", "sun", "code", "song", "bread", "stone")


def encode(texts: list[str]) -> np.ndarray[Any, Any]:
    """A small encoder: counts of words, and of letters."""
    return np.array([[*(text.count(word) for word in WORDS), len(text) / 10] for text in texts])


def votes(n: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """Votes of two people on made-up answers."""
    rng = np.random.default_rng(seed)

    def answer() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(2, 9))) + "."

    return [
        {
            "who": ("ann", "bob")[k % 2],
            "prompt": f"Ask {k}?",
            "chosen": answer(),
            "rejected": f"{answer()} No.",
        }
        for k in range(n)
    ]


def read(records: Any, **settings: Any) -> bp.Comparisons:
    """Read with two components, quietly."""
    given = {"encoder": encode, "user": "who", "components": 2, "surface": ["length"]}
    return bp.text.comparisons(records, progress=False, **(given | settings))


def written(tmp_path: Path, records: list[Any], name: str = "votes.jsonl") -> Path:
    """A JSON lines file."""
    path = tmp_path / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path
