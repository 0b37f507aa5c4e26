"""The page that tells operators of every setting, written from the settings themselves."""

from __future__ import annotations

import sys
from typing import Final

from gateway.settings import Settings, setting_fields, spelled
from gateway.settings_words import accepted, example

_PAGE: Final = """# Configuration

Every setting of a gateway, written by `make docs` from `gateway/settings_groups.py`. A setting
comes from, in this order: a flag of `llmx gateway`, the environment, the TOML file, its default.
`none` stands for "not at all" where that is accepted. A value that cannot be is refused at the
start, with one that would work:

    LLMX_ENGINE__SHARDS=0: must be 1 to 256, for example 4

In a file the same setting is

    [engine]
    shards = 4

"""


def configuration_page() -> str:
    """Return the text of docs/configuration.md."""
    return _PAGE + describe_settings()


def describe_settings() -> str:
    """Return a Markdown table for each group: setting, variable, default, range, meaning."""
    tables: dict[str, list[str]] = {}
    for group, name, field in setting_fields():
        if group not in tables:
            kind = Settings.model_fields[group].annotation
            assert kind is not None, "every setting is in a group"
            tables[group] = [
                f"## {group}\n\n{kind.__doc__}\n",
                "| setting | environment | default | accepts | meaning |",
                "|---|---|---|---|---|",
            ]
        tables[group].append(
            f"| `{name}` | `{spelled('environment', group, name)}` | `{example(field)}` "
            f"| {accepted(field)} | {field.description} |"
        )
    return "\n\n".join("\n".join(lines) for lines in tables.values()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(configuration_page())
