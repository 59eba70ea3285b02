"""Which cluster, which namespace, which bus: the options every command shares, taken before or after the command's name."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

Namespace = Annotated[str | None, typer.Option("--namespace", "-n", metavar="NS", help="Namespace; default: the context's.")]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, then ~/.kube/config."),
]
Context = Annotated[str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.")]
InstanceId = Annotated[
    str | None, typer.Option("--instance-id", metavar="ID", help="Only objects labelled with this controller instance id.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    namespace: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    instance_id: str = ""


OPTIONS = {"namespace": Namespace, "kubeconfig": Kubeconfig, "context": Context, "instance_id": InstanceId}


def with_connection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command(connection=..., ...)` the shared options. Those given before the command's name hold unless repeated."""

    @functools.wraps(command)
    def wrapped(invocation: typer.Context, **given: Any) -> Any:
        own = {name: given.pop(name) for name in OPTIONS}
        return command(connection=merged(invocation.obj, own), **given)

    own_parameters = [each for each in inspect.signature(command).parameters.values() if each.name != "connection"]
    context = inspect.Parameter("invocation", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option) for name, option in OPTIONS.items()
    ]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own_parameters]
    wrapped.__signature__ = inspect.Signature([context, *parameters, *shared])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {each.name: each.annotation for each in (context, *parameters, *shared)}
    return wrapped


def merged(before: object, own: dict[str, Any]) -> Connection:
    start = before if isinstance(before, Connection) else Connection()
    known = {field.name for field in fields(Connection)}
    return replace(start, **{name: value for name, value in own.items() if name in known and value is not None})
