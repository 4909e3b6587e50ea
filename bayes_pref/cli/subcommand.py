"""One subcommand of ``bayes-pref``: a click command whose further options are Python's parameters.

A module that defines a subcommand imports little, so that ``bayes-pref --help`` is fast: what is
slow to import, such as a sampler, is imported in the function that runs.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import click

from bayes_pref.cli.command import REFUSED, stop, warn
from bayes_pref.cli.option_groups import (
    Group,
    choose,
    generated_options,
    plain_names,
    with_options,
)
from bayes_pref.cli.toml_files import read_config
from bayes_pref.errors import BayesPrefError, ConvergenceWarning, DataWarning


class Subcommand(click.Command):
    """A subcommand with groups of options.

    Its function is called with its own click parameters and, by the name of each group, with what
    was `ChosenOptions` in it. It returns the exit status: `DONE`, `NEEDS_ATTENTION`, `REFUSED` or
    `INTERRUPTED`. A `BayesPrefError` that it raises becomes one line on stderr and the status
    `REFUSED`; a warning, a line that begins with "note:".

    Parameters
    ----------
    groups
        Groups of options.
    lenient
        Names of groups in which parameters may be missing although Python has no default.
    examples
        Command lines for the help, each with what it does.
    settings
        As of `click.Command`.
    """

    def __init__(
        self,
        *arguments: Any,
        groups: Sequence[Group] = (),
        lenient: Sequence[str] = (),
        examples: Sequence[tuple[str, str]] = (),
        **settings: Any,
    ) -> None:
        self.groups, self.lenient, self.examples = tuple(groups), tuple(lenient), tuple(examples)
        super().__init__(*arguments, **settings)
        self.own_names = [param.name for param in self.params]
        if self.groups:
            self.params.append(_config_option(self))

    @cached_property
    def _generated(self) -> list[tuple[Group, click.Option]]:
        return list(generated_options(self.groups))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options, of which those of the groups are made when they are needed."""
        return [*super().get_params(ctx), *(option for _, option in self._generated)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words, and join the options of each group with the configuration file."""
        rest = super().parse_args(ctx, args)
        if ctx.resilient_parsing:  # a shell asks how a word may go on
            return rest
        generated = {str(option.name) for _, option in self._generated}
        given = {name: ctx.params.pop(name) for name in generated if name in ctx.params}
        given = {name: value for name, value in given.items() if value not in (None, ())}
        tables = ctx.meta.get("tables", {})
        ctx.params.update(choose(self.groups, given, tables, self.lenient))
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand, and tell an error that the user can mend in one line."""
        names = plain_names(self.groups)

        def note(message: Warning | str, *_: Any, **__: Any) -> None:
            warn(f"note: {with_options(str(message), names)}")

        with warnings.catch_warnings():
            for kind in (DataWarning, ConvergenceWarning):
                warnings.simplefilter("always", kind)
            warnings.showwarning = note
            try:
                return super().invoke(ctx)
            except BayesPrefError as err:
                return stop(with_options(str(err), names), REFUSED)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each group under its title."""
        # What arguments are, the text above the options says.
        shown = [param for param in self.params if isinstance(param, click.Option)]
        own = [record for param in shown if (record := param.get_help_record(ctx))]
        help_option = self.get_help_option(ctx)
        record = None if help_option is None else help_option.get_help_record(ctx)
        with formatter.section("Options"):
            formatter.write_dl([*own, *([record] if record else [])])
        for group, options in groupby(self._generated, key=lambda pair: pair[0]):
            records = [option.get_help_record(ctx) for _, option in options]
            with formatter.section(group.title):
                formatter.write_dl([record for record in records if record])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        if self.examples:
            with formatter.section("Examples"):
                for text, line in self.examples:
                    formatter.write_text(text)
                    # Lines that can be copied into a shell.
                    parts = textwrap.wrap(line, formatter.width - 8, break_on_hyphens=False)
                    indent = " " * (formatter.current_indent + 2)
                    formatter.write(indent + f" \\\n{indent}  ".join(parts) + "\n")
        super().format_epilog(ctx, formatter)


def _config_option(command: Subcommand) -> click.Option:
    """Return the option that reads a configuration file, before all others."""

    def read(ctx: click.Context, _: click.Parameter, path: str | None) -> str | None:
        """Read the defaults of the subcommand's own options, and the tables of its groups."""
        if path is not None and not ctx.resilient_parsing:
            own, tables = read_config(path, [str(name) for name in command.own_names])
            ctx.default_map = {**(ctx.default_map or {}), **own}
            ctx.meta["tables"] = tables
        return path

    return click.Option(
        ["--config"],
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=read,
        help="Settings in TOML, as bayes-pref config prints them; the command line has precedence",
    )


def subcommand(
    name: str,
    *,
    help: str,  # noqa: A002 - click's name
    examples: Sequence[tuple[str, str]],
    groups: Sequence[Group] = (),
    lenient: Sequence[str] = (),
    short_help: str | None = None,
) -> Callable[[Callable[..., int]], Subcommand]:
    """Return a decorator that makes a function a subcommand; options of its own are click's.

    Parameters
    ----------
    name
        What is typed after ``bayes-pref``.
    help
        What it does, for its own help; the first sentence stands in the list of subcommands.
    examples, groups, lenient
        As of `Subcommand`.
    short_help
        Another line for the list.
    """

    def made(function: Callable[..., int]) -> Subcommand:
        """Return the subcommand that runs this function."""
        return click.command(
            name,
            cls=Subcommand,
            help=help,
            short_help=short_help,
            groups=groups,
            lenient=lenient,
            examples=examples,
        )(function)

    return made
