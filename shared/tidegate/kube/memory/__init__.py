"""A Kubernetes API without a server, behind the same verbs: the reference, the test double, and the simulation's cluster.

kube       MemoryKube: the verbs
state      what a write does to the stored objects
journal    what happened, and what each watcher sees of it
ownership  server-side apply
feed       a cache fed within each write, or made to lag
"""

from tidegate.kube.memory.feed import Feed
from tidegate.kube.memory.kube import Call, MemoryKube

__all__ = ["Call", "Feed", "MemoryKube"]
