"""A command that keeps the options it was given, for those who go on with its work later."""

from __future__ import annotations

import click

GIVEN = "beadwise.options"  # key in the context


class OptionOfCopy(click.Option):
    """An option about the copy of a shipped input, which who goes on with it needs no more."""


class RememberingCommand(click.Command):
    """A command whose context holds, under `GIVEN`, its options as words of a command line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line."""
        given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        words: list[str] = []
        for option in self.get_params(ctx):
            is_kept = isinstance(option, click.Option) and not isinstance(option, OptionOfCopy) and not option.is_eager
            if is_kept and option.name in given:
                values = given[option.name] if option.multiple else [given[option.name]]
                words += [word for value in values for word in (option.opts[-1], value)]
        ctx.meta[GIVEN] = tuple(words)
        return super().parse_args(ctx, args)
