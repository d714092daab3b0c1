"""A group of commands whose modules are imported when they are called: `trio-gcs run` must not wait for the others."""

import importlib

import click

# Name: where it is, and what --help says of it.
COMMANDS = {
    "demo": ("demo", "Play a small story on a cluster in this process, and show its events."),
    "events": ("events", "Print each change of the cluster as it happens."),
    "health-check": ("health", "Ask a server whether it is well."),
    "kv": ("kv", "Read and write the key-value store."),
    "list": ("listing", "List nodes, actors, jobs, workers, placement-groups or tasks."),
    "status": ("status", "Say who is there and how the cluster is."),
    "store": ("store", "Back up, restore, copy or clean a store."),
    "story": ("story", "Tell what happened to an id, with causes."),
    "tree": ("tree", "Show the tasks of the daemon, and what they wait for."),
    "watch": ("watch", "Show the status, again and again."),
}


class LazyGroup(click.Group):
    """Knows `COMMANDS` besides its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported now if it was not yet."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"trio_gcs.commands.{COMMANDS[cmd_name][0]}")
        found: click.Command = module.command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list for --help, without importing anything."""
        rows = []
        for name in self.list_commands(ctx):
            own = self.commands.get(name)
            rows.append((name, COMMANDS[name][1] if own is None else own.get_short_help_str(limit=80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
