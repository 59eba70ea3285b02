"""The five kinds of argoproj.io/v1alpha1 as pydantic models, and the CustomResourceDefinitions made from them (DESIGN.md 5).

Rule of this package: it states what may be *stored*; it judges nothing. A Rollout that makes no sense must still get past
the API server, because the planner answers it with an `InvalidSpec` condition whose text users and tools know
(`argo-behaviour.md` 1.4-1.6).

Importing the models costs about a third of a second. Only `tidegate crds` and `tidegate lint` do it; no service reads
objects through them.
"""
