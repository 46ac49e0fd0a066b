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
            if not isinstance(option, click.Option) or isinstance(option, OptionOfCopy) or option.is_eager:
                continue
            if option.name in given:
                name, values = option.opts[-1], given[option.name]
                pairs = [(name, value) for value in (values if option.multiple else [values])]
                words += [name] if option.is_flag else [word for pair in pairs for word in pair]
        ctx.meta[GIVEN] = tuple(words)
        return super().parse_args(ctx, args)
