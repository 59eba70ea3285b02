"""Label, annotation and field keys that objects carry (`argo-behaviour.md` 2.4). Interface facts: never change one.

Keys under `argoproj.io` belong to the accepted API; keys under `tidegate.dev` are ours.
"""

GROUP = "argoproj.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

POD_TEMPLATE_HASH = "rollouts-pod-template-hash"
REVISION = "rollout.argoproj.io/revision"
REVISION_HISTORY = "rollout.argoproj.io/revision-history"
DESIRED_REPLICAS = "rollout.argoproj.io/desired-replicas"
WORKLOAD_GENERATION = "rollout.argoproj.io/workload-generation"
EPHEMERAL_METADATA = "rollout.argoproj.io/ephemeral-metadata"
SCALE_DOWN_DEADLINE = "scale-down-deadline"  # really without a prefix
MANAGED_BY = "argo-rollouts.argoproj.io/managed-by-rollouts"
INSTANCE_ID = "argo-rollouts.argoproj.io/controller-instance-id"
MANAGED_ALB_ANNOTATIONS = "rollouts.argoproj.io/managed-alb-annotations"
EXPERIMENT_NAME = "experiment.argoproj.io/name"
EXPERIMENT_TEMPLATE_NAME = "experiment.argoproj.io/template-name"
ROLLOUT_TYPE = "rollout-type"
STEP_INDEX = "step-index"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
NOTIFIED = "notified.notifications.argoproj.io"

MADE_FROM = "tidegate.dev/made-from"
"""On an Experiment and on a ReplicaSet of a Rollout: the resourceVersion of the Rollout that it was decided from, or last written
from. Whoever sees none as new cannot know what it is for: it ends no such Experiment, and changes no such ReplicaSet before it has
read the Rollout."""

FENCE = "tidegate.dev/fence"
"""On every object the traffic-shifter changes: which decision it was last changed for, `<namespace>/<rollout>=<uid>/<fence>`, one
entry per Rollout, joined by commas (two Rollouts may share a route). The fence is the highest resourceVersion the decision was
made from, as an integer in decimal.

A request with a lower fence is stale and dropped (DESIGN.md 3), so a late redelivery cannot move traffic backwards.
"""

REQUESTED_BY = "tidegate.dev/requested-by"
"""On a Rollout that was changed through the bus: who asked (CloudEvents `authid`); ends in the outcomes."""

CORRELATION_ID = "tidegate.dev/correlation-id"
"""On a Rollout that was changed through the bus: ties its outcomes to the request."""

COMMANDS = "tidegate.dev/commands"
"""On a Rollout that was commanded through the bus: the last few commands, `<digest of the id>.<digest of where it stood then>`
joined by commas. A command that is delivered again once it acted must not act again (two promotions pass two gates).
"""

MOST_READY = "tidegate.dev/most-ready"
"""On the new ReplicaSet of an update whose pods stopped being ready: how many of them were at most. Fewer are no progress."""

NEVER_STABLE = "tidegate.dev/never-stable"
"""On a ReplicaSet of a blue-green rollout that a newer revision took the place of before it was promoted. Its pods stay for the
scale-down delay like any other's, but nobody said yet that they are good enough for all users.
"""

PODS_BEHIND = "tidegate.dev/pods-behind"
"""On a ReplicaSet whose injected metadata (`rollout.argoproj.io/ephemeral-metadata`) changed, until its running pods have it all:
`{"labels": [...], "annotations": [...]}`, the keys that some of them may still carry.
"""

HANDED_OVER = "tidegate.dev/handed-over"
"""On a Deployment whose pods a Rollout takes over (`workloadRef.scaleDown`): how many it had. Should the Rollout lose pods on the
way, the Deployment gets back as many as are missing, and never more than this.
"""

FAIL_FAST = "tidegate.dev/fail-fast"
"""On a Rollout, by its owner: abort an update as soon as a pod of the new version cannot start, or crashed so many times."""

SURGE_IN_STEPS = "tidegate.dev/surge-in-steps"
"""On a Rollout, by its owner: with traffic routing too, no more than `maxSurge` pods of the new version come up at a time."""

AUTOSCALER_COUNTS = "tidegate.dev/autoscaler-counts"
"""On a Rollout: what `status.HPAReplicas` and `status.selector` tell during a canary, "wanted" or "stable". Without it the pods of
both versions, all of them (`autoscaling.py`).
"""

WISHES = (FAIL_FAST, SURGE_IN_STEPS, AUTOSCALER_COUNTS)
"""What an owner may ask for by annotation."""
