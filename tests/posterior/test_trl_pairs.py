"""Pairs for TRL are in the order of a user's rewards, and differ by their margins."""

from __future__ import annotations

import numpy as np
import pytest
from made_posteriors import made_posterior
from text_votes import read, votes

import bayes_pref as bp


def test_pairs_are_in_the_order_of_the_users_rewards() -> None:
    asked = votes(12)
    posterior = made_posterior(read(votes(40)))
    text = posterior.comparisons.text
    turned = 0
    for user in ("ann", "bob", "population"):
        pairs = posterior.to_trl(asked, user)
        assert len(pairs) == len(asked)
        sides = [
            posterior.reward(text.frame([vote["prompt"] for vote in asked], said), user)["mean"]
            for said in ([vote[side] for vote in asked] for side in ("chosen", "rejected"))
        ]
        gained = (sides[0] - sides[1]).to_numpy()
        for pair, vote, margin in zip(pairs, asked, gained, strict=True):
            said = [vote["chosen"], vote["rejected"]]
            assert [pair["chosen"], pair["rejected"]] == (said if margin > 0 else said[::-1])
            assert list(pair) == ["prompt", "chosen", "rejected", "margin"]
            assert pair["prompt"] == vote["prompt"]
        np.testing.assert_allclose([pair["margin"] for pair in pairs], np.abs(gained), atol=1e-8)
        turned += int((gained < 0).sum())
    assert 0 < turned < 36


def test_records_keep_their_form_and_their_fields_may_have_other_names() -> None:
    posterior = made_posterior(read(votes(40)))
    first = votes(1)[0]
    plain = posterior.to_trl([first], "ann")[0]
    ask = {"role": "user", "content": first["prompt"]}
    talk = {
        name: [ask, {"role": "assistant", "content": first[side]}]
        for name, side in (("good", "chosen"), ("bad", "rejected"))
    }
    [pair] = posterior.to_trl([talk], "ann", chosen="good", rejected="bad")
    assert list(pair) == ["chosen", "rejected", "margin"]  # the prompt is in both
    assert pair["margin"] == pytest.approx(plain["margin"])
    assert pair["chosen"] in (talk["good"], talk["bad"])


def test_what_cannot_be_scored_is_refused() -> None:
    posterior = made_posterior(read(votes(40)))
    with pytest.raises(bp.DataError, match="unknown user 'eve'"):
        posterior.to_trl(votes(2), "eve")
    with pytest.raises(bp.DataError, match="two identical responses"):
        posterior.to_trl([{"prompt": "Hi", "chosen": "Yes.", "rejected": "Yes."}])
    with pytest.raises(bp.DataError, match="did not come from texts"):
        made_posterior().to_trl(votes(2))
