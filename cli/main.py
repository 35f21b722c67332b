"""The command ``c2f``: its sub-commands, and the one place where errors become exit codes.

Exit codes: 0 ok, 1 foreseen failure, 2 usage, 3 threshold never crossed, 130 interrupted.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence

import click

from c2f_data.artefacts import disk_error
from c2f_data.errors import C2FError

from .build_hierarchy import build_hierarchy
from .calibrate import calibrate
from .demo import demo
from .doctor import doctor
from .evaluate import evaluate
from .export import export
from .export_model import export_model
from .fetch import fetch
from .inspect import inspect
from .predict import predict
from .report import report
from .reproduce import reproduce
from .serve import serve
from .settings import unknown_variables
from .shard import shard
from .train import train
from .verify import verify

INTERRUPTED = 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "C2F"},
    epilog="First steps: `c2f demo`, then `c2f calibrate --dataset cub --root FOLDER`.",
)
@click.version_option(package_name="c2f-toolkit", prog_name="c2f")
@click.option("-v", "--verbose", count=True, help="-vv shows the traceback of an error.")
def c2f(verbose: int) -> None:
    """At which resolution can a classifier still tell species, then genus, then family?

    \b
    Example:
      c2f calibrate --dataset cub --root CUB_200_2011 --t-med 0.8 --t-low 0.8
    """


_COMMANDS = (
    fetch,
    build_hierarchy,
    calibrate,
    shard,
    train,
    evaluate,
    predict,
    serve,
    report,
    reproduce,
    demo,
    verify,
    inspect,
    export,
    export_model,
    doctor,
)
for _command in _COMMANDS:
    c2f.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for line in unknown_variables(c2f):
        _say(f"Warning: {line}")
    sys.exit(run(words))


def run(words: list[str]) -> int:
    """Run the command line on these words and give its exit code."""
    try:
        code = c2f.main(args=words, prog_name="c2f", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted. What was finished is kept: the same command goes on from there.")
        return INTERRUPTED
    except C2FError as error:
        return _failed(words, error)
    except BrokenPipeError:
        # The reader of our output has left (`| head`); point stdout elsewhere so that the
        # interpreter's last flush does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        from pathlib import Path

        return _failed(words, disk_error(error, Path(str(error.filename or "disk"))))
    except MemoryError:
        return _failed(
            words, C2FError("out of memory", "Lower --batch-size, --dim or --input-size.")
        )
    return code if isinstance(code, int) else 0


def _failed(words: Sequence[str], error: C2FError) -> int:
    if sum(_verbosity(word) for word in words) > 1:
        traceback.print_exc()
    _say(f"Error: {error.message}")
    _say(f"  {error.hint}")
    return error.exit_code


def _verbosity(word: str) -> int:
    return len(word) - 1 if re.fullmatch("-v+", word) else int(word == "--verbose")


def _say(text: str) -> None:
    click.echo(text, err=True)
