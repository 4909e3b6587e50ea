"""The demonstration: its numbers are those of the fits, and its sentences follow from them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

import bayes_pref as bp
from bayes_pref.cli import main
from bayes_pref.cli.demo import run_demo
from bayes_pref.cli.demo_flags import flagged
from bayes_pref.cli.demo_report import Fits, choice_probabilities, opposite_users, report
from bayes_pref.cli.screen import WIDTH
from bayes_pref.reporting.folder import OutputFolder
from bayes_pref.simulation import assistant_world

ATTRIBUTES = ["length", "detail", "warmth", "hedging"]
PICTURES = ["heterogeneity.png", "population.png", "report.png", "trace.png", "users.png"]

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.errors.ConvergenceWarning")


@pytest.fixture(scope="module")
def fits() -> Fits:
    world = assistant_world(seed=1)
    train, held_out = world.comparisons.split(by="comparison", seed=1)
    engine = bp.Gibbs(draws=60, warmup=60, chains=2, progress=False)
    pooled = bp.fit(bp.PooledReward(), train, engine)
    hierarchical = bp.fit(bp.HierarchicalReward(), train, engine)
    return Fits(pooled, hierarchical, held_out, world.truth)


def section(fits: Fits, title: str) -> str:
    """Return the section with a title that begins so."""
    users = opposite_users(fits.true_weights[ATTRIBUTES])
    [found] = [part for part in report(fits, users) if part.startswith(title)]
    return found


def numbers(text: str, name: str) -> list[float]:
    """Return the numbers in the line of a table that begins with a name."""
    line = next(line for line in text.splitlines() if line.split()[:1] == [name])
    return [float(found) for found in re.findall(r"-?\d+\.?\d*", line.split(name, 1)[1])]


def flowing(text: str) -> str:
    """Return the text without its line breaks."""
    return " ".join(text.split())


def test_every_section_is_plain_text_that_fits(fits: Fits) -> None:
    text = "\n".join(report(fits, opposite_users(fits.true_weights)))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.isascii()
    assert text.isprintable() or set(text) - set(filter(str.isprintable, text)) == {"\n"}
    assert "nan" not in re.findall(r"\w+", text)


def test_population_means_stand_beside_the_truth(fits: Fits) -> None:
    text, hits = section(fits, "Population mean"), {"pooled": 0, "hierarchical": 0}
    for feature, true in fits.truth.mu.items():
        expected, misses = [true], 0
        for name, posterior in fits.both.items():
            row = posterior.summary().loc[f"mu[{feature}]"]
            expected += [row["mean"], row["lower"], row["upper"]]
            inside = row["lower"] <= true <= row["upper"]
            hits[name] += inside
            misses += not inside
        assert numbers(text, str(feature)) == pytest.approx(expected, abs=0.0051)
        line = next(line for line in text.splitlines() if line.split()[:1] == [feature])
        assert line.count("*") == misses
    counts = f"pooled {hits['pooled']} of 8, hierarchical {hits['hierarchical']} of 8"
    assert counts in flowing(text)


def test_three_users_are_shown_with_their_own_weights(fits: Fits) -> None:
    text = section(fits, "Three users")
    users = opposite_users(fits.true_weights[ATTRIBUTES])
    rows = [line for line in text.splitlines() if set(line.split()) & set(ATTRIBUTES)]
    assert len(rows) == 12
    wrong = {"pooled": 0, "hierarchical": 0}
    for k, user in enumerate(users):
        assert rows[4 * k].split()[0] == user
        for row, feature in zip(rows[4 * k : 4 * k + 4], ATTRIBUTES, strict=True):
            true = fits.truth.weights.loc[user, feature]
            mean = fits.hierarchical.draws["weights"].sel(user=user, feature=feature).mean()
            pooled = fits.pooled.draws["mu"].sel(feature=feature).mean()
            shown = [float(x) for x in row.split(feature)[1].split()[:3]]
            assert shown == pytest.approx([true, float(pooled), float(mean)], abs=0.0051)
            wrong["pooled"] += float(pooled) * true < 0
            wrong["hierarchical"] += float(mean) * true < 0
    counts = f"pooled {wrong['pooled']} of 12, hierarchical {wrong['hierarchical']} of 12"
    assert counts in flowing(text)


def test_opposite_users_are_opposite(fits: Fits) -> None:
    weights = fits.true_weights[ATTRIBUTES]
    first, second, third = opposite_users(weights)
    least = (weights @ weights.T).to_numpy().min()
    assert weights.loc[first] @ weights.loc[second] == pytest.approx(least)
    assert len({first, second, third}) == 3


def test_coverage_and_error_are_those_of_all_weights(fits: Fits) -> None:
    true = fits.truth.weights.rename_axis("user").reset_index()
    true = true.melt(id_vars="user", var_name="feature", value_name="true")
    for name, posterior in fits.both.items():
        both = true.merge(posterior.weights(), on=["user", "feature"])
        assert len(both) == fits.true_weights.size
        inside = both["true"].between(both["lower"], both["upper"]).mean()
        error = ((both["mean"] - both["true"]) ** 2).mean() ** 0.5
        width = (both["upper"] - both["lower"]).mean()
        shown = numbers(section(fits, "Weights of all users"), name)
        assert shown == pytest.approx([100 * inside, width, error], abs=0.51, rel=0)
        assert shown[1:] == pytest.approx([width, error], abs=0.0051)


def test_a_truth_that_the_intervals_hold_is_not_called_missed(fits: Fits) -> None:
    means = fits.hierarchical.weights().pivot(index="user", columns="feature", values="mean")
    exact = replace(fits, truth=replace(fits.truth, weights=means))
    text = section(exact, "Weights of all users")
    assert numbers(text, "hierarchical")[0] == 100
    assert "less often" not in text
    far = replace(fits, truth=replace(fits.truth, weights=means + 5.0))
    text = section(far, "Weights of all users")
    assert numbers(text, "hierarchical")[0] == 0
    assert "less often than 90 %" in flowing(text)


def test_probabilities_are_those_of_each_rows_own_user(fits: Fits) -> None:
    draws = fits.hierarchical.draws["weights"]
    chances = choice_probabilities(fits.hierarchical, fits.held_out)
    for row in (0, 100, len(fits.held_out) - 1):
        user = fits.held_out.users[fits.held_out.user[row]]
        eta = draws.sel(user=user).to_numpy() @ fits.held_out.difference[row]
        assert chances[row] == pytest.approx(expit(eta).mean(), rel=1e-12)


def test_scores_are_those_of_the_held_out_choices(fits: Fits) -> None:
    text, choice = (
        section(fits, f"The {len(fits.held_out):,} held-out choices"),
        fits.held_out.choice,
    )
    scores = {}
    for name, posterior in fits.both.items():
        chance = choice_probabilities(posterior, fits.held_out)
        scores[name] = np.log(np.where(choice == 1, chance, 1 - chance))
        right, score = numbers(text, name)
        assert right == pytest.approx(100 * np.mean(chance.round() == choice), abs=0.51)
        assert score == pytest.approx(scores[name].mean(), abs=0.00051)
    own = fits.truth.comparisons["probability"].loc[fits.held_out.rows].to_numpy()
    best = np.log(np.where(choice == 1, own, 1 - own)).mean()
    assert f"{best:.3f}" in text
    gain = scores["hierarchical"] - scores["pooled"]
    error = gain.std(ddof=1) / len(gain) ** 0.5
    assert f"{gain.mean():+.3f} per choice (standard error {error:.3f})" in flowing(text)


def test_predictions_for_all_users_are_compared_with_p_do(fits: Fits) -> None:
    text = section(fits, "Predictions for all users")
    facts = fits.truth.comparisons.loc[fits.held_out.rows]
    for name, posterior in fits.both.items():
        chance = posterior.preference(fits.held_out.to_frame(), users="population")["mean"]
        error = chance.to_numpy() - facts["p_do"].to_numpy()
        slope = np.linalg.lstsq(facts[["shift"]].to_numpy(), error, rcond=None)[0][0]
        rms, share = numbers(text, name)
        assert rms == pytest.approx(np.mean(error**2) ** 0.5, abs=0.00051)
        assert share == pytest.approx(100 * slope, abs=0.51)


def test_predictions_that_do_not_follow_the_shift_are_not_blamed_for_it(fits: Fits) -> None:
    chance = fits.hierarchical.preference(fits.held_out.to_frame(), users="population")["mean"]
    rows = fits.facts.assign(p_do=chance.to_numpy() + fits.facts["shift"])
    against = replace(fits, truth=replace(fits.truth, comparisons=rows))
    text = section(against, "Predictions for all users")
    assert numbers(text, "hierarchical")[1] == -100
    assert "the model ignores which users see which pairs" not in flowing(text)
    assert "the model ignores which users see which pairs" in flowing(
        section(fits, "Predictions for all users")
    )


def test_flagged_comparisons_stand_beside_the_truth(fits: Fits) -> None:
    found = bp.diagnose(fits.hierarchical, progress=False)
    verdicts, reasons, score = (flowing(text) for text in flagged(found, fits.truth))
    rows = found.comparisons[found.comparisons["verdict"] == "confounded"]
    assert f"confounded {len(rows):,}" in verdicts
    worst = rows.loc[rows["shift"].abs().idxmax()]
    true = fits.truth.comparisons.loc[worst["row"]]
    assert worst["sentence"] in reasons
    assert f"In truth {100 * true['p_obs']:.0f} % of the users who see it" in reasons
    right = (fits.truth.comparisons.loc[rows["row"], "shift"].abs() > 0.03).sum()
    assert f"{len(rows):,} comparisons are flagged as confounded; for {right:,}" in score


@pytest.mark.long  # the README's test runs the command
def test_a_run_tells_its_story_and_draws(tmp_path: Path) -> None:
    told: list[str] = []
    run_demo(OutputFolder(tmp_path / "demo"), seed=2, say=told.append, draws=40)
    assert len(told) == 10
    assert "correlation 0.6" in flowing(told[0])
    train, held_out = assistant_world(seed=2).comparisons.split(by="comparison", seed=2)
    assert f"{len(train):,} comparisons; {len(held_out):,} more" in flowing(told[0])
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == PICTURES


@pytest.mark.slow
@pytest.mark.long
def test_a_run_repeats_itself(tmp_path: Path) -> None:
    told: list[list[str]] = [[], []]
    for part in told:
        run_demo(OutputFolder(tmp_path / "demo"), seed=2, say=part.append, draws=40)
    one, other = ([re.sub(r"\d+\.\d s;", "", text) for text in part] for part in told)
    assert one == other


@pytest.mark.long
def test_the_command_converges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    text = flowing(out)
    assert text.count("convergence passed") == 2
    assert (
        "Plots in demo: population.png, users.png, heterogeneity.png, trace.png, report.png" in text
    )
    assert sorted(path.name for path in Path("demo").iterdir()) == PICTURES
