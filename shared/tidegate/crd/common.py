"""Building bricks that all kinds share.

How a model reads as a structural schema (`schema.py` does the translation):
    a field without default      required by the API server; only the three places of `argo-behaviour.md` 1.1
    `= None`                     optional, no default at CRD level
    any other default            filled in by the API server; only Datadog has such fields
    subclass of `Model`          unknown fields are pruned, as the peer's schema does
    subclass of `OpenModel`      unknown fields are kept (`x-kubernetes-preserve-unknown-fields`)
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

Int32 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int32"})]
Int64 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
IntOrString = Annotated[
    int | str,
    WithJsonSchema({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
]
FreeObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]
FreeValue = Annotated[Any, WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True})]
ServerMetadata = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]  # the API server owns its schema
StringMap = dict[str, str]


class Model(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="ignore",
        strict=True,  # a model accepts what its schema accepts: no "5" for 5
        use_attribute_docstrings=True,
        validate_by_name=False,
    )


class OpenModel(Model):
    model_config = ConfigDict(extra="allow")


class Resource(Model):
    api_version: str | None = None
    kind: str | None = None
    metadata: ServerMetadata | None = None


class Requirement(Model):
    key: str | None = None
    operator: str | None = None
    """In, NotIn, Exists or DoesNotExist."""
    values: list[str] | None = None


class LabelSelector(Model):
    """Selects objects by their labels; all conditions must hold."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    match_labels: StringMap | None = None
    match_expressions: list[Requirement] | None = None


class ExtraMetadata(Model):
    """Labels and annotations added to an object."""

    labels: StringMap | None = None
    annotations: StringMap | None = None


class PodMetadata(OpenModel):
    labels: StringMap | None = None
    annotations: StringMap | None = None


class PodTemplate(Model):
    """A pod template. Its spec is stored as it comes; the API server checks it when pods are made from it.

    The peer embeds the whole pod schema, which makes half a megabyte for each kind and rejects pod fields newer than itself.
    """

    metadata: PodMetadata | None = None
    spec: FreeObject | None = None


class Condition(OpenModel):
    type: str | None = None
    status: str | None = None
    """True, False or Unknown."""
    reason: str | None = None
    message: str | None = None
    last_update_time: Time | None = None
    last_transition_time: Time | None = None
