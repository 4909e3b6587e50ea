"""Groups of options: the parameters of a reader, a model, an engine or a function of Python.

A group is a heading in the help and a table in a configuration file. Some have several owners, of
which an option chooses one, such as ``--model LowRankReward``. An option has the plain name of its
parameter; where that is a parameter of two chosen owners, ``--model.rank`` tells which is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import click

from bayes_pref.cli.option_types import WordType, value_type
from bayes_pref.cli.signatures import REQUIRED, Parameter, parameters
from bayes_pref.messages import closest

# Given once, these are meant for all of the groups that have them.
_SHARED = frozenset({"seed"})
# Before the name of a plain option, so that it is no name of a subcommand's own.
_ANY = "any"


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that are options.

    Parameters
    ----------
    name
        Name of the table in a configuration file.
    title
        Heading in the help.
    owners
        Python names of what has the parameters, by what chooses them on the command line.
    leave_out
        Parameters that are no options; ``"text.features"`` is so of one owner only.
    switch
        Name of the option that chooses the owner; empty where there is one only.
    key
        The same in a configuration file.
    default
        The owner where none is chosen; None: the data decide, and any owner's parameter is taken.
    switch_help
        What the option that chooses says in the help.
    texts
        What the help says of parameters that the documentation describes together.
    """

    name: str
    title: str
    owners: Mapping[str, str]
    leave_out: frozenset[str] = frozenset()
    switch: str = ""
    key: str = "name"
    default: str | None = None
    switch_help: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @cache  # noqa: B019 - groups are few, and live as long as the process
    def parameters_of(self, owner: str | None) -> dict[str, Parameter]:
        """Parameters of an owner; of any of them, where none is chosen."""
        found: dict[str, Parameter] = {}
        for name in self.owners if owner is None else [owner]:
            for each in parameters(self.owners[name]).values():
                if self.leave_out.isdisjoint({each.name, f"{name}.{each.name}"}):
                    found.setdefault(each.name, each)
        return found

    def owners_of(self, name: str) -> list[str]:
        """Owners that have a parameter."""
        return [owner for owner in self.owners if name in self.parameters_of(owner)]


@dataclass(frozen=True)
class ChosenOptions:
    """What the command line and the configuration file say of a group.

    Parameters
    ----------
    group
        The group.
    owner
        Who was chosen; None: nobody yet.
    given
        Values of the parameters that were given, as Python takes them.
    """

    group: Group
    owner: str | None
    given: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """Return what was given for a parameter, or its default."""
        if name in self.given:
            return self.given[name]
        return self.group.parameters_of(self.owner)[name].default

    def require(self) -> None:
        """Expect all parameters that have no default.

        Raises
        ------
        click.UsageError
            If one was not given.
        """
        for name, each in self.group.parameters_of(self.owner).items():
            if each.default is REQUIRED and name not in self.given:
                text = self.group.texts.get(name, each.text)
                raise click.UsageError(
                    f"{option_name(name)} is missing ({text[:1].lower()}{text[1:]})"
                )


def option_name(name: str) -> str:
    """Return a parameter's option.

    Examples
    --------
    >>> option_name("survey_weight")
    '--survey-weight'
    """
    return f"--{name.replace('_', '-')}"


def with_options(message: str, names: Iterable[str]) -> str:
    """Return a message of Python with arguments of these names as options of the command.

    Examples
    --------
    >>> with_options("give features=[...], or sides='toss'", ["features", "sides"])
    'give --features, or --sides toss'
    >>> with_options("use Gibbs(draws=2000)", ["draws"])
    'use Gibbs(draws=2000)'
    >>> with_options("leave out users instead (by='user')", ["by"])
    'leave out users instead (--by user)'
    """
    known = "|".join(map(re.escape, names))
    # Not within a call, such as Gibbs(draws=2000, thin=4).
    pattern = (
        rf"(?<![\w.\[])(?<!\w\()(?<!, )({known})=(?:\[\.\.\.\]|'([^']*)'|\.\.\.)?(?![\w(=\[\"'])"
    )

    def option(found: re.Match[str]) -> str:
        value = found[2] or ""
        value = f'"{value}"' if " " in value else value
        return f"{option_name(found[1])} {value}".strip()

    return re.sub(pattern, option, message) if known else message


def plain_names(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Parameters by name, and the groups that have them."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        for name in group.parameters_of(None):
            found.setdefault(name, []).append(group)
    return found


def choose(
    groups: Sequence[Group],
    given: Mapping[str, Any],
    configured: Mapping[str, Mapping[str, Any]],
    lenient: Sequence[str] = (),
) -> dict[str, ChosenOptions]:
    """Join what the command line and a configuration file say; the command line has precedence.

    Parameters
    ----------
    groups
        The groups of a subcommand.
    given
        By option, as `generated_options` names them, the words of the command line.
    configured
        Tables of a configuration file, by group.
    lenient
        Groups of which the rest is known from elsewhere: nobody is chosen by default, and a
        parameter without a default may be missing.

    Returns
    -------
    chosen: by group

    Raises
    ------
    click.UsageError
        If a setting belongs to nobody who was chosen, or to two, or is missing.
    """
    owners: dict[str, str | None] = {}
    values: dict[str, dict[str, Any]] = {}
    for group in groups:
        table = dict(configured.get(group.name, {}))
        named = table.pop(group.key, None) if group.switch else None
        default = None if group.name in lenient else group.default
        owner = given.get(f"{group.name}__{group.key}") or named or default
        if not group.switch:
            [owner] = group.owners
        if owner is not None and owner not in group.owners:
            raise click.UsageError(
                f"[{group.name}] {group.key}: {owner!r} is none of {', '.join(group.owners)}"
                f"{closest(owner, group.owners)}"
            )
        owners[group.name] = owner
        values[group.name] = _from_table(group, owner, table, given)
    for name, having in plain_names(groups).items():
        for group in having if len(having) > 1 else ():
            if (words := given.get(f"{group.name}__{name}")) is not None:
                values[group.name][name] = _read(group, owners[group.name], name, words)
        if (words := given.get(f"{_ANY}__{name}")) is not None:
            for group in _meant(name, having, owners):
                values[group.name][name] = _read(group, owners[group.name], name, words)
    found = {
        group.name: ChosenOptions(group, owners[group.name], values[group.name]) for group in groups
    }
    for name, each in found.items():
        if each.owner is not None and name not in lenient:
            each.require()
    return found


def _from_table(
    group: Group, owner: str | None, table: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Check the keys of a table; those of an owner that the command line replaced are dropped."""
    known = group.parameters_of(owner)
    replaced = given.get(f"{group.name}__{group.key}") is not None
    for name in table:
        if name not in known and not (replaced and group.owners_of(name)):
            raise click.UsageError(f"[{group.name}] has no {name!r}{closest(name, known)}")
    return {
        name: tuple(map(tuple, value)) if _are_pairs(known[name], value) else value
        for name, value in table.items()
        if name in known
    }


def _are_pairs(parameter: Parameter, value: Any) -> bool:
    return value_type(parameter).pairs and isinstance(value, list)


def _meant(name: str, having: Sequence[Group], owners: Mapping[str, str | None]) -> Sequence[Group]:
    """Return the groups for which a plain option is meant."""
    chosen = [
        group
        for group in having
        if owners[group.name] is not None and owners[group.name] in group.owners_of(name)
    ]
    # Where the data are to decide, what the first owner has is understood, but not what others
    # have.
    first = [
        group
        for group in having
        if owners[group.name] is None
        and (group.default or next(iter(group.owners)) in group.owners_of(name))
    ]
    meant = chosen or first
    if not meant:
        whose = [f"--{group.switch} {who}" for group in having for who in group.owners_of(name)]
        raise click.UsageError(
            f"{option_name(name)} belongs to {' or '.join(whose)}: add it, or leave this out"
        )
    if len(meant) > 1 and name not in _SHARED:
        both = " or ".join(f"--{group.name}.{name.replace('_', '-')}" for group in meant)
        raise click.UsageError(f"{option_name(name)} has two meanings here: write {both}")
    return meant


def _read(group: Group, owner: str | None, name: str, words: Any) -> Any:
    """Return the value of an option."""
    kind = value_type(group.parameters_of(owner)[name])
    if kind.flag and isinstance(words, bool):
        return words
    try:
        # Checked here where the name has several meanings, of which one only is a number.
        texts = [kind.click_type.convert(word, None, None) for word in words]
        return kind.read(texts)
    except click.BadParameter as err:
        raise click.UsageError(f"{option_name(name)}: {err.message}") from err


def generated_options(groups: Sequence[Group]) -> Iterator[tuple[Group, click.Option]]:
    """Yield the options of groups, each under the first group that has it."""
    names = plain_names(groups)
    for group in groups:
        if group.switch:
            yield (
                group,
                click.Option(
                    [f"--{group.switch}", f"{group.name}__{group.key}"],
                    type=WordType(list(group.owners)),
                    help=group.switch_help
                    + (f" (default {group.default})" if group.default else ""),
                ),
            )
        for name, each in group.parameters_of(None).items():
            having = names[name]
            if having[0] is group:
                yield group, _option(name, f"{_ANY}__{name}", having, each)
            if len(having) > 1 and name not in _SHARED:
                dotted = f"{group.name}.{name}"
                yield group, _option(dotted, f"{group.name}__{name}", [group], each)


def _option(name: str, target: str, having: Sequence[Group], parameter: Parameter) -> click.Option:
    """Return the option of a parameter that several groups may have."""
    kinds = {
        value_type(group.parameters_of(owner)[parameter.name])
        for group in having
        for owner in group.owners_of(parameter.name)
    }
    kind = value_type(parameter)
    text = _help(parameter, having)
    if kind.flag and all(each.flag for each in kinds):
        off = option_name(f"no-{name}")
        return click.Option([f"{option_name(name)}/{off}", target], default=None, help=text)
    types = {str(each.click_type) for each in kinds}
    return click.Option(
        [option_name(name), target],
        type=kind.click_type if len(types) == 1 else click.STRING,
        multiple=True,
        default=None,
        metavar=None if kind.choices and len(types) == 1 else kind.metavar,
        help=text,
    )


def _help(parameter: Parameter, having: Sequence[Group]) -> str:
    """Say what a parameter means, for whom, and what its default is."""
    parts = []
    for group in having:
        owners = group.owners_of(parameter.name)
        defaults: dict[str, list[str]] = {}
        for owner in owners:
            value = group.parameters_of(owner)[parameter.name].default
            shown = "" if value in (None, REQUIRED, ...) else _shown(value)
            defaults.setdefault(shown, []).append(owner)
        everyone = len(owners) == len(group.owners)
        if everyone and len(defaults) == 1:
            [shown] = defaults
            parts += [f"default {shown}"] if shown else []
        else:
            parts += [
                f"{', '.join(who)}{f': default {shown}' if shown else ''}"
                for shown, who in defaults.items()
            ]
    text = having[0].texts.get(parameter.name) or _short(parameter.text)
    return f"{text} ({'; '.join(parts)})" if parts else text


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(text: str) -> str:
    """Leave out what follows the first half of a long sentence."""
    if len(text) <= 160:
        return text
    head = text[:160]
    for mark in ("; ", ": ", ", "):
        place = head.rfind(mark)
        if place > 40:
            return head[:place]
    return head
