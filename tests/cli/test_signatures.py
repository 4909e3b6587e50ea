"""Options are Python's parameters: what is read from the source is what Python has."""

from __future__ import annotations

import dataclasses
import inspect
import operator
from typing import Any

import pytest

import bayes_pref as bp
from bayes_pref.cli.groups import ENGINES, MODELS, READERS
from bayes_pref.cli.signatures import REQUIRED, Parameter, parameters, summary

CLASSES = [*MODELS, *ENGINES, "Thresholds"]
FUNCTIONS = [
    *READERS.values(), "fit", "diagnose", "evaluate", "loo", "Posterior.predict", "recommend",
    "audit", "simulate",
]  # fmt: skip


def found(name: str) -> Any:
    return operator.attrgetter(name)(bp)


def same_default(parameter: Parameter, default: object) -> bool:
    """Whether a default is Python's; what is no literal is not compared."""
    return parameter.default is ... or parameter.default == default


@pytest.mark.parametrize("name", CLASSES)
def test_fields_and_their_defaults_are_those_of_the_dataclass(name: str) -> None:
    fields = {each.name: each for each in dataclasses.fields(found(name))}
    read = parameters(name)
    assert list(read) == list(fields)
    for field in fields.values():
        missing = field.default is dataclasses.MISSING
        default = REQUIRED if missing else field.default
        assert same_default(read[field.name], default), field.name
        assert read[field.name].text, field.name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_and_their_defaults_are_those_of_the_function(name: str) -> None:
    arguments = dict(inspect.signature(found(name)).parameters)
    arguments.pop("self", None)
    read = parameters(name)
    assert list(read) == list(arguments)
    for argument in arguments.values():
        assert same_default(read[argument.name], argument.default), argument.name
        assert read[argument.name].text, argument.name


def test_every_model_and_engine_of_the_package_can_be_named() -> None:
    models = {
        name
        for name in bp.__all__
        if isinstance(found(name), type) and issubclass(found(name), bp.RewardModel)
    }
    engines = {
        name
        for name in bp.__all__
        if isinstance(found(name), type) and issubclass(found(name), bp.Engine)
    }
    assert models - {"RewardModel"} == set(MODELS)
    assert engines - {"Engine", "MCMC"} == set(ENGINES)


def test_what_the_documentation_leaves_to_another_place_is_found_there() -> None:
    assert parameters("Gibbs")["draws"].text == parameters("MCMC")["draws"].text
    assert parameters("Comparisons.from_tasks")["frequency"].text.startswith("Column of how often")
    assert summary("simulate") == "Simulate comparisons of users, and keep the true parameters"


def test_a_name_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LookupError):
        parameters("Comparisons.from_nothing")
