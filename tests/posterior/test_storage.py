"""Saved posteriors: whole or not at all, and the same numbers, labels and types afterwards."""

from __future__ import annotations

import datetime as dt
import gzip
import inspect
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_posteriors import (
    made_comparisons,
    made_posterior,
    made_votes,
    pooled_posterior,
)

from bayes_pref.data import Comparisons
from bayes_pref.data.outcome import GradedChoice, PairedChoice
from bayes_pref.data.ranking import Ranking
from bayes_pref.errors import DataError
from bayes_pref.models import HierarchicalReward
from bayes_pref.posterior import ElboRecord, Finding, Posterior, Run, storage
from bayes_pref.posterior import format_1 as format_1_names
from bayes_pref.posterior.estimates import COLUMNS
from bayes_pref.posterior.hdf5_image import dataset_of, image_of
from bayes_pref.posterior.labels import decode_index, encode_index, from_json_bytes, json_bytes
from bayes_pref.posterior.rounded_draws import rounded
from bayes_pref.posterior.seal import seal
from bayes_pref.posterior.stored_comparisons import comparisons_dataset, comparisons_from
from bayes_pref.text.text_features import Projection, TextFeatures

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "data"
ENGINE = {"name": "Gibbs", "draws": 50, "seconds": 1.0, "complete": True}
LABELS: dict[str, pd.Index[Any]] = {
    "text": pd.Index(["zoe", "ann", "Ünal", ""], name="who"),
    "integers": pd.Index([3, 1, -2, 2**62]),
    "small integers": pd.Index(np.array([3, 1, 2, 0], dtype=np.uint8)),
    "floats": pd.Index([0.1, 1.0, 1e300, -0.0]),
    "single floats": pd.Index(np.array([0.1, 1, 2, 3], dtype=np.float32)),
    "truth values": pd.Index([True, False]),
    "range": pd.RangeIndex(10, 2, -2, name="row"),
    "days": pd.DatetimeIndex(["2024-02-28", "2024-02-29", "2024-01-01"], name="day"),
    # On the two sides of a change to summer time.
    "moments elsewhere": pd.DatetimeIndex(["2024-03-30 12:00", "2024-03-31 12:00"]).tz_localize(
        "Europe/Rome"
    ),
    "nanoseconds": pd.DatetimeIndex(np.array([1, 2, 3], dtype="datetime64[ns]")),
    "durations": pd.to_timedelta([1, 2, 3], unit="min"),
    "several types": pd.Index([1, "1", 1.5, True, None], dtype=object),
    "dates": pd.Index([dt.date(2024, 1, 2), dt.datetime(2024, 1, 2, 3, 4)], dtype=object),
    "timestamps among text": pd.Index([pd.Timestamp("2024-01-02 03:04:05.000000006"), "x"]),
    "numpy scalars": pd.Index([np.int64(3), np.float32(0.1), np.bool_(True)], dtype=object),
    "tuples": pd.Index([("a", 1), ("b", (2, 3))], tupleize_cols=False),
    "nullable": pd.Index([1, 2, 3], dtype="Int64"),
    "categories": pd.CategoricalIndex(["b", "a"], categories=["a", "b", "c"], ordered=True),
    "levels": pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("a", 2)], names=["wave", None]),
}


@pytest.mark.parametrize("index", LABELS.values(), ids=LABELS)
def test_labels_keep_their_values_types_and_names(index: pd.Index[Any]) -> None:
    again = decode_index(encode_index(index))
    pd.testing.assert_index_equal(again, index, exact=True)
    assert again.names == index.names
    for one, other in zip(again.tolist(), index.tolist(), strict=True):
        assert type(one) is type(other)


def test_labels_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(DataError, match="of type object cannot be saved; use text, numbers"):
        encode_index(pd.Index([object()], dtype=object))


def assert_same_comparisons(one: Comparisons, other: Comparisons) -> None:
    """Every part is the same, labels and types included."""
    for name in inspect.signature(Comparisons).parameters:
        ours, theirs = getattr(one, name), getattr(other, name)
        if isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype
        elif isinstance(ours, pd.Index):
            pd.testing.assert_index_equal(ours, theirs, exact=True)
        elif isinstance(ours, pd.DataFrame):
            pd.testing.assert_frame_equal(ours, theirs)
        else:
            assert ours == theirs


POSTERIORS = {
    "diagonal": lambda: made_posterior(),
    "full": lambda: made_posterior(
        made_comparisons(interactions=True, covariates=True),
        HierarchicalReward(covariance="full", scale="raw", spread_sd=0.5),
    ),
    "pooled": lambda: pooled_posterior(),
    "items": lambda: made_posterior(made_votes()),
    "users are truth values": lambda: made_posterior(made_comparisons((True, False))),
    "users are numbers": lambda: made_posterior(made_comparisons((3.5, -1.0, 2.0))),
    "users are days": lambda: made_posterior(
        made_comparisons(tuple(pd.date_range("2024-01-01", periods=3)))
    ),
}


@pytest.mark.parametrize("make", POSTERIORS.values(), ids=POSTERIORS)
def test_a_loaded_posterior_is_the_one_that_was_saved(make: Any, tmp_path: Path) -> None:
    found = Finding("rhat", "mu[tone]", 1.03, 1.01, 2, "mu[tone]: R-hat 1.030, above 1.01")
    posterior: Posterior = replace(make(), findings=(found,))
    posterior.save(tmp_path / "posterior")
    again = Posterior.load(tmp_path / "posterior")
    assert [path.name for path in tmp_path.iterdir()] == ["posterior"]
    xr.testing.assert_identical(again.draws, posterior.draws)
    xr.testing.assert_identical(again.sample_stats, posterior.sample_stats)
    for name, variable in posterior.sample_stats.data_vars.items():
        assert again.sample_stats[name].dtype == variable.dtype
    assert_same_comparisons(again.comparisons, posterior.comparisons)
    for name in ("model", "run", "seed", "findings"):
        assert getattr(again, name) == getattr(posterior, name)
    for users in (None, "population", posterior.comparisons.users[:1]):
        pd.testing.assert_frame_equal(
            again.weights(users), posterior.weights(users), check_exact=True
        )
    pd.testing.assert_frame_equal(again.amce(), posterior.amce(), check_exact=True)
    np.testing.assert_array_equal(
        again.idata["posterior_predictive"]["choice"],
        posterior.idata["posterior_predictive"]["choice"],
    )
    assert repr(again) == repr(posterior)


@pytest.mark.parametrize("kind", ["levels", "days", "range", "several types"])
def test_the_labels_of_rows_are_saved_exactly(kind: str, tmp_path: Path) -> None:
    comparisons = made_comparisons()
    n = len(comparisons)
    rows = {
        "levels": pd.MultiIndex.from_product([["a", "b"], range(n // 2)], names=["wave", "n"]),
        "days": pd.DatetimeIndex(pd.date_range("2024-01-01", periods=n, tz="UTC").tolist()),
        "range": pd.RangeIndex(n, name="row"),
        "several types": pd.Index([k if k % 2 else f"row {k}" for k in range(n)], dtype=object),
    }[kind]
    known = inspect.signature(Comparisons).parameters
    parts = {**{name: getattr(comparisons, name) for name in known}, "rows": rows}
    labelled = Comparisons(**parts)
    made_posterior(labelled).save(tmp_path / "posterior.nc")
    again = Posterior.load(tmp_path / "posterior.nc").comparisons
    assert_same_comparisons(again, labelled)


def test_a_new_process_finds_identical_rewards(tmp_path: Path) -> None:
    posterior = made_posterior()
    path = tmp_path / "posterior.nc"
    posterior.save(path)
    program = (
        "import sys; from bayes_pref.posterior import Posterior; "
        "print(Posterior.load(sys.argv[1]).weights().to_json(double_precision=15))"
    )
    made = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert made.stdout.strip() == posterior.weights().to_json(double_precision=15)


def test_the_file_is_netcdf_that_other_programs_read(tmp_path: Path) -> None:
    posterior = made_posterior()
    posterior.save(tmp_path / "posterior.nc")
    with xr.open_dataset(tmp_path / "posterior.nc", group="posterior") as draws:
        assert draws["user"].to_numpy().tolist() == ["zoe", "ann", "bob", "kim"]
        assert draws["weights"].dims == ("chain", "draw", "user", "feature")
        np.testing.assert_array_equal(draws["weights"], posterior.draws["weights"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("step", ["image", "write", "fsync", "rename"])
def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: Any
) -> None:
    path = tmp_path / "posterior.nc"
    old, new = made_posterior(seed=1), made_posterior(seed=2)
    old.save(path)
    before = path.read_bytes()
    write: Any = os.write

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    def half(descriptor: int, part: memoryview) -> int:
        write(descriptor, part[:1000])  # the damage is done, then it stops
        raise error

    where = {
        "image": (storage, "image_of", broken),
        "write": (os, "write", half),
        "fsync": (os, "fsync", broken),
        "rename": (Path, "replace", broken),
    }
    monkeypatch.setattr(*where[step])
    with pytest.raises((KeyboardInterrupt, DataError)) as caught:
        new.save(path)
    if isinstance(error, OSError):
        assert str(caught.value).startswith(f"cannot save to {path}: No space left on device; ")
        assert caught.value.__cause__ is error
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["posterior.nc"]
    monkeypatch.undo()
    new.save(path)
    xr.testing.assert_identical(Posterior.load(path).draws, new.draws)


def test_places_that_cannot_be_written_to_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posterior = made_posterior()
    with pytest.raises(DataError, match=r"there is no folder .*absent; create it$"):
        posterior.save(tmp_path / "absent" / "posterior.nc")
    with pytest.raises(DataError, match="it is a folder; add a file name"):
        posterior.save(tmp_path)

    def denied(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    # Not by taking the permission away, which does not stop an administrator.
    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(DataError, match="Permission denied; choose a folder with room that you"):
        posterior.save(tmp_path / "posterior.nc")
    assert not list(tmp_path.iterdir())


def test_what_has_no_place_in_a_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    posterior = made_posterior()
    settings = {"tuned": object()}
    posterior = replace(posterior, run=replace(posterior.run, settings=settings))
    with pytest.raises(DataError, match=r"cannot save run: .* use plain numbers and text"):
        posterior.save(tmp_path / "posterior.nc")
    assert not list(tmp_path.iterdir())


def test_a_link_is_written_through_and_permissions_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "there.nc", tmp_path / "here.nc"
    made_posterior(seed=1).save(target)
    target.chmod(0o640)
    link.symlink_to(target)
    made_posterior(seed=2).save(link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    fresh = tmp_path / "fresh.nc"
    made_posterior().save(fresh)
    (tmp_path / "plain").touch()
    assert fresh.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_refused_in_one_sentence(tmp_path: Path, share: float) -> None:
    path = tmp_path / "posterior.nc"
    made_posterior().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    what = "is cut short or damaged; save" if share else "is not a file that Posterior.save wrote"
    with pytest.raises(DataError, match=what) as caught:
        Posterior.load(path)
    assert "\n" not in str(caught.value)


def test_a_changed_number_is_noticed(tmp_path: Path) -> None:
    posterior = made_posterior()
    path = tmp_path / "posterior.nc"
    posterior.save(path)
    whole = bytearray(path.read_bytes())
    place = whole.find(posterior.draws["weights"].to_numpy()[0, :4].tobytes())
    assert place > 0
    whole[place] ^= 1  # the last bit of one weight
    path.write_bytes(whole)
    with pytest.raises(DataError, match="is cut short or damaged"):
        Posterior.load(path)


def test_other_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file or directory; check the path"):
        Posterior.load(tmp_path / "absent.nc")
    with pytest.raises(DataError, match="Is a directory; check the path"):
        Posterior.load(tmp_path)
    text = tmp_path / "table.csv"
    text.write_text("id,choice\n1,0\n")
    with pytest.raises(DataError, match=r"table.csv: it is not a file that Posterior.save wrote"):
        Posterior.load(text)
    xr.Dataset({"rain": ("day", [1.0, 2.0])}).to_netcdf(tmp_path / "rain.nc", engine="h5netcdf")
    with pytest.raises(DataError, match=r"rain.nc: it is not a file that Posterior.save wrote"):
        Posterior.load(tmp_path / "rain.nc")


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "posterior.nc"
    with monkeypatch.context() as patched:
        patched.setattr(storage, "FORMAT", storage.FORMAT + 1)
        made_posterior().save(path)
    with pytest.raises(DataError, match=r"it has format 4, .* reads up to 3; upgrade it"):
        Posterior.load(path)


def format_1(name: str, folder: Path) -> Path:
    """A file that the last version with format 1 wrote, compressed here."""
    path = folder / f"{name}.nc"
    path.write_bytes(gzip.decompress((DATA / f"format_1_{name}.nc.gz").read_bytes()))
    return path


@pytest.mark.parametrize("name", ["mixture", "low_rank"])
def test_a_file_of_format_1_has_the_recorded_rewards_and_run(name: str, tmp_path: Path) -> None:
    recorded = json.loads((DATA / "format_1.json").read_text(encoding="utf-8"))[name]
    posterior = Posterior.load(format_1(name, tmp_path))
    for variable, values in recorded["draws"].items():
        found = posterior.draws[variable].to_numpy()
        np.testing.assert_array_equal(found, np.reshape(values, found.shape))
    features = list(posterior.comparisons.feature_names)
    reward = posterior.reward(pd.DataFrame(np.eye(2) + 0.5, columns=features))
    np.testing.assert_array_equal(reward[[*COLUMNS]], recorded["reward"])
    engine, run = recorded["engine"], posterior.run
    assert (run.engine, run.seconds, run.complete) == tuple(
        engine.pop(key) for key in ("name", "seconds", "complete")
    )
    assert run.settings == engine
    assert (run.draws, run.exact, run.joint, run.elbo) == (6, True, True, None)
    # Saved again, it is a file of the present format with the same answers.
    posterior.save(tmp_path / "again.nc")
    again = Posterior.load(tmp_path / "again.nc")
    xr.testing.assert_identical(again.draws, posterior.draws)
    assert (again.run, again.findings) == (run, posterior.findings)


def test_a_file_of_format_1_gets_the_names_of_format_2(tmp_path: Path) -> None:
    mixture = Posterior.load(format_1("mixture", tmp_path))
    assert mixture.model.settings()["components"] == 2
    assert mixture.draws["mu"].dims == ("chain", "draw", "component", "feature")
    assert mixture.draws["component"].to_numpy().tolist() == [1, 2]
    assert len(mixture.membership()) == 6
    low_rank = Posterior.load(format_1("low_rank", tmp_path))
    assert low_rank.draws["V"].dims == ("chain", "draw", "feature", "factor")
    assert low_rank.draws["factor"].to_numpy().tolist() == ["factor_1"]
    assert low_rank.findings[0].parameter == "z[u002, factor_1]"
    assert low_rank.findings[0].message.startswith("z[u002, factor_1]: R-hat 1.640")
    assert low_rank.comparisons.outcome == PairedChoice()


def test_the_engine_of_format_1_becomes_a_run_with_its_elbo() -> None:
    guide = {"guide": "mean_field", "draws": 60, "steps": 100}
    record = {"elbo": [-9.0, -8.0], "elbo_every": 50, "elbo_cuts": [100], "steps_done": 100}
    rest = {"name": "SVI", "seconds": 1.5, "complete": False, "pareto_k": 0.6, "pareto_k_of": "all"}
    groups = {"posterior": xr.Dataset(), "comparisons": comparisons_dataset(made_comparisons())}
    old = {"model": {}, "engine": guide | record | rest, "seed": 0, "findings": []}
    assert Run.from_state(format_1_names.upgraded(groups, old)[1]["run"]) == Run(
        engine="SVI",
        settings=guide,
        exact=False,
        joint=False,
        draws=60,
        seconds=1.5,
        complete=False,
        elbo=ElboRecord(history=(-9.0, -8.0), every=50, cuts=(100,), steps=100),
        pareto_k=0.6,
        pareto_k_of="all",
    )


@pytest.mark.parametrize(
    ("levels", "stage", "outcome"),
    [
        (None, None, PairedChoice()),
        (["worse", "same", "better"], None, GradedChoice(("worse", "same", "better"))),
        (None, np.arange(60), Ranking(np.arange(60))),
    ],
)
def test_levels_and_stages_of_format_1_become_the_outcome(
    levels: Any, stage: Any, outcome: Any
) -> None:
    dataset = comparisons_dataset(made_comparisons())
    described = from_json_bytes(dataset["described"].to_numpy()) | {"levels": levels}
    old = dataset.drop_vars(["outcome", "described"])
    old = old.assign(described=("described_byte_old", json_bytes(described)))
    if stage is not None:
        old = old.assign(stage=("comparison", stage))
    settings = {"model": {}, "engine": ENGINE, "seed": 0, "findings": []}
    groups, _ = format_1_names.upgraded({"posterior": xr.Dataset(), "comparisons": old}, settings)
    found = comparisons_from(groups["comparisons"]).outcome
    assert found.state()[0] == outcome.state()[0]
    for name, values in outcome.state()[1].items():
        np.testing.assert_array_equal(found.state()[1][name], values)


def test_a_model_that_this_version_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "posterior.nc"
    posterior = made_posterior()
    groups = {
        "posterior": posterior.draws,
        "sample_stats": posterior.sample_stats,
        "comparisons": comparisons_dataset(posterior.comparisons),
    }
    settings = {"model": {"model": "TelepathicReward"}, "run": {}, "seed": 0, "findings": []}
    storage.write(path, groups, settings)
    with pytest.raises(DataError, match="unknown model 'TelepathicReward'"):
        Posterior.load(path)
    settings["model"] = posterior.model.settings()
    storage.write(path, {"posterior": posterior.draws}, settings)
    with pytest.raises(DataError, match="is cut short or damaged"):
        Posterior.load(path)


@pytest.mark.parametrize("size", [(2, 50), (4, 1000)])
def test_a_compact_file_moves_no_draw_by_more_than_a_quarter_of_its_monte_carlo_error(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    chains, draws = size
    posterior = made_posterior(chains=chains, draws=draws)
    posterior.save(tmp_path / "compact.nc", compact=True)
    again = Posterior.load(tmp_path / "compact.nc")
    for name in ("mu", "tau"):
        xr.testing.assert_identical(again.draws[name], posterior.draws[name])
    weights = posterior.draws["weights"]
    error = weights.std(("chain", "draw")) / np.sqrt(chains * draws)
    moved = np.abs(again.draws["weights"] - weights)
    assert (moved.max(("chain", "draw")) <= 0.2501 * error).all()
    assert float(moved.max()) > 0.0
    # The roundings are nearly independent: their mean is far smaller than any of them.
    mean = np.abs((again.draws["weights"] - weights).mean(("chain", "draw")))
    assert (mean <= 5 * error / 4 / np.sqrt(chains * draws)).all()
    assert again.draws["weights"].dtype == np.float64
    posterior.save(tmp_path / "plain.nc")
    share = (tmp_path / "compact.nc").stat().st_size / (tmp_path / "plain.nc").stat().st_size
    assert share < (0.7 if draws == 1000 else 1.0)  # the weights are 6 tenths of the larger one


def test_draws_of_several_chunks_are_those_that_were_rounded(tmp_path: Path) -> None:
    posterior = made_posterior(chains=2, draws=25_000)  # a chunk and a part of one for each chain
    weights = posterior.draws["weights"]
    posterior.save(tmp_path / "compact.nc", compact=True)
    with h5py.File(tmp_path / "compact.nc") as file:  # as any program reads it
        stored = file["posterior/weights"]
        found = stored[()]
        assert 1 < 25_000 / stored.chunks[1] < 2
    assert np.array_equal(found, rounded(weights.variable))
    again = Posterior.load(tmp_path / "compact.nc").draws["weights"]
    assert np.array_equal(again, found)


@pytest.mark.parametrize("change", ["far from zero", "tiny", "constant", "no spread but one"])
def test_draws_that_32_bits_cannot_hold_are_saved_as_they_are(tmp_path: Path, change: str) -> None:
    posterior = made_posterior(chains=2, draws=500)
    weights = posterior.draws["weights"]
    changed = {
        "far from zero": weights + 1e9,
        "tiny": weights * 1e-90,
        "constant": weights * 0 + 0.1,
        "no spread but one": weights * 0 + (weights == weights.max()),
    }[change]
    posterior = replace(posterior, draws=posterior.draws.assign(weights=changed))
    posterior.save(tmp_path / "compact.nc", compact=True)
    again = Posterior.load(tmp_path / "compact.nc").draws["weights"]
    xr.testing.assert_identical(again, posterior.draws["weights"])


def without_variable(draws: xr.Dataset) -> xr.Dataset:
    return draws.drop_vars("weights")


CONTRADICTIONS: dict[str, tuple[Any, str]] = {
    "users in another order": (
        lambda draws: draws.isel(user=[1, 0, 2, 3]), "the dimension user, and the comparisons"),
    "a user too few": (lambda draws: draws.isel(user=[0, 1, 2]), "the dimension user|other sizes"),
    "no weights": (without_variable, "there are no draws of weights"),
    "NaN": (lambda draws: draws.assign(mu=draws["mu"] * np.nan), "mu hold NaN or infinity"),
    "a negative sd": (
        lambda draws: draws.assign(tau=-draws["tau"]), "tau hold the negative standard deviation"),
    "another dimension": (
        lambda draws: draws.assign(mu=draws["tau"].rename(feature="trait")), "have the dimensions"),
    "no draws": (lambda draws: draws.isel(draw=[]), "there are no draws of"),
}  # fmt: skip


@pytest.mark.parametrize("change", CONTRADICTIONS)
def test_parts_that_contradict_each_other_are_neither_saved_nor_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    alter, message = CONTRADICTIONS[change]
    path = tmp_path / "posterior.nc"
    posterior = made_posterior()
    altered = replace(posterior, draws=alter(posterior.draws))
    with pytest.raises(DataError, match=f"^cannot save to .*{message}"):
        altered.save(path)
    with monkeypatch.context() as patched:
        patched.setattr(Posterior, "_check", lambda _: None)
        altered.save(path)
    with pytest.raises(DataError, match=f"^cannot load .*{message}"):
        Posterior.load(path)


def test_a_small_file_cannot_fill_the_memory(tmp_path: Path) -> None:
    posterior = made_posterior()
    path = tmp_path / "posterior.nc"
    for name, options in {
        "never written": {"shape": (2, 10**9), "dtype": "f8", "chunks": (1, 1000)},
        "zeros, compressed": {"data": np.zeros((2, 10**6)), "compression": 9},
        "elsewhere": {"shape": (2, 50), "dtype": "f8", "external": [(str(path), 0, 800)]},
    }.items():
        posterior.save(path)
        resealed(path, "sample_stats/lp", options)
        with pytest.raises(DataError, match="is cut short or damaged"):
            Posterior.load(path)
        assert name


def resealed(path: Path, variable: str, options: dict[str, Any]) -> None:
    """Replace an array of a saved posterior, as somebody with intent would, and seal it anew."""
    image = io.BytesIO(path.read_bytes()[:-64])
    with h5py.File(image, "r+") as file:
        group, _, name = variable.partition("/")
        dims = [scales[0].name for scales in file[variable].dims]
        del file[variable]
        added = file[group].create_dataset(name, **options)
        for axis, dim in enumerate(dims):
            added.dims[axis].attach_scale(file[dim])
    path.write_bytes(image.getvalue() + seal([image.getvalue()]))


def test_links_out_of_the_file_are_not_followed(tmp_path: Path) -> None:
    made_posterior(seed=1).save(tmp_path / "other.nc")
    for link in (
        h5py.ExternalLink(str(tmp_path / "other.nc"), "/posterior/mu"),
        h5py.SoftLink("/"),
    ):
        path = tmp_path / "posterior.nc"
        made_posterior().save(path)
        image = io.BytesIO(path.read_bytes()[:-64])
        with h5py.File(image, "r+") as file:
            del file["posterior/mu"]
            file["posterior/mu"] = link
        path.write_bytes(image.getvalue() + seal([image.getvalue()]))
        with pytest.raises(DataError, match="is cut short or damaged"):
            Posterior.load(path)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"it is not a file that Posterior.save wrote"):
        Posterior.load(tmp_path / "pipe")
    with pytest.raises(DataError, match="it is a folder or a device"):
        made_posterior().save(tmp_path / "pipe")


def test_a_file_of_format_2_loads_and_is_checked_array_by_array(tmp_path: Path) -> None:
    posterior = made_posterior()
    path = tmp_path / "posterior.nc"
    write_format_2(path, posterior)
    again = Posterior.load(path)
    xr.testing.assert_identical(again.draws, posterior.draws)
    assert (again.run, again.model) == (posterior.run, posterior.model)
    assert_same_comparisons(again.comparisons, posterior.comparisons)
    whole = bytearray(path.read_bytes())
    whole[whole.find(posterior.draws["weights"].to_numpy()[0, :4].tobytes())] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DataError, match="is cut short or damaged"):
        Posterior.load(path)


def write_format_2(path: Path, posterior: Posterior) -> None:
    """Write a file as the last version with format 2 did."""
    groups = {
        "posterior": posterior.draws,
        "sample_stats": posterior.sample_stats,
        "comparisons": comparisons_dataset(posterior.comparisons),
    }
    described = {
        "model": posterior.model.settings(), "run": posterior.run.state(), "seed": posterior.seed,
        "findings": [], "groups": list(groups),
    }  # fmt: skip
    header = {name: json.dumps(value) for name, value in described.items()}
    header |= {"bayes_pref_format": 2, "bayes_pref_version": "0.0"}
    xr.Dataset(attrs=header).to_netcdf(path, mode="w", engine="h5netcdf")
    for group, dataset in groups.items():
        stored = dataset.drop_vars(list(dataset.coords))
        for dim, index in dataset.indexes.items():
            stored[f"{dim}_labels"] = (f"{dim}_labels_byte", json_bytes(encode_index(index)))
            stored = stored.assign_coords({dim: [str(label) for label in index]})
        checksums = {
            str(name): {"fletcher32": True, "chunksizes": variable.shape}
            for name, variable in stored.data_vars.items()
            if variable.size
        }
        stored.to_netcdf(path, mode="a", group=group, engine="h5netcdf", encoding=checksums)


def test_loading_makes_no_folder_and_takes_no_encoder_from_the_file(tmp_path: Path) -> None:
    text = TextFeatures(
        ("length",), Projection(np.zeros(2), np.ones((2, 1))), encoder_name="somebody/elses-model"
    )
    settings, arrays = text.state()
    again = TextFeatures.from_state(settings | {"cache": str(tmp_path / "made")}, arrays)
    assert again.encoder is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="'somebody/elses-model', which a file only names; if you"):
        again.frame(["?"], ["tea"])
    assert again.state()[0] == settings
    posterior = made_posterior()
    posterior.save(tmp_path / "posterior.nc")
    with pytest.raises(DataError, match=r"no features of texts; load it without encoder="):
        Posterior.load(tmp_path / "posterior.nc", encoder=lambda texts: np.ones((len(texts), 2)))


@pytest.mark.parametrize("compact", [False, True])
def test_a_file_is_the_same_where_no_thread_can_start(
    compact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    posterior = made_posterior(chains=2, draws=2000)
    posterior.save(tmp_path / "threads.nc", compact=compact)
    monkeypatch.setattr("concurrent.futures.ThreadPoolExecutor.submit", refuse)
    posterior.save(tmp_path / "none.nc", compact=compact)
    weights = [
        Posterior.load(tmp_path / name).draws["weights"] for name in ("threads.nc", "none.nc")
    ]
    np.testing.assert_array_equal(*weights)


def test_large_arrays_of_any_layout_are_read_back_and_only_plain_ones_are_not_copied(
    tmp_path: Path,
) -> None:
    plain = np.random.default_rng(0).normal(size=(3, 400, 50))
    arrays = {
        "plain": plain,
        "single": plain.astype(np.float32),
        "whole": (1e6 * plain).astype(np.int64),
        "truth": plain > 0,
        "transposed": plain.T.copy().T,
        "backwards": plain[::-1],
        "big-endian": plain.astype(">f8"),
        "small": plain[:, 0, 0].copy(),
        "plain again": -plain,
    }
    dims = [["a"], ["a", "b"], ["a", "b", "c"]]
    dataset = xr.Dataset({key: (dims[each.ndim - 1], each) for key, each in arrays.items()})
    parts = image_of({"some": dataset}, {}, compact=False)
    shared = {
        key for key, each in arrays.items() for part in parts
        if len(part) and np.shares_memory(np.frombuffer(part, np.uint8), each)
    }  # fmt: skip
    # "backwards" is a view of the plain one, whose memory it shares.
    assert shared == {"plain", "backwards", "single", "whole", "plain again"}
    path = tmp_path / "arrays.h5"
    path.write_bytes(b"".join(parts))
    with h5py.File(path) as file:
        found = dataset_of(file, "some", path.stat().st_size)
        for key, each in arrays.items():
            np.testing.assert_array_equal(found[key], each)
            np.testing.assert_array_equal(file["some"][key], each)
