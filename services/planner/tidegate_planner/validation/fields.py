"""The declared types of the parts of a Rollout that the rules read. Order within a group is that of the API's own types."""

from tidegate_planner.validation.shapes import (
    ANYTHING,
    FLAG,
    QUANTITY,
    TEXT,
    WHOLE,
    WHOLE_OR_TEXT,
    Entries,
    Fields,
    Items,
    fields,
)

LABELS = Entries(TEXT)
METADATA = fields(name=TEXT, namespace=TEXT, uid=TEXT, labels=LABELS, annotations=LABELS)
SELECTOR = fields(matchLabels=LABELS, matchExpressions=Items(fields(key=TEXT, operator=TEXT, values=Items(TEXT))))

_HTTP_GET = fields(path=TEXT, port=WHOLE_OR_TEXT, host=TEXT, scheme=TEXT, httpHeaders=Items(fields(name=TEXT, value=TEXT)))
_HANDLER = {
    "exec": fields(command=Items(TEXT)),
    "httpGet": _HTTP_GET,
    "tcpSocket": fields(port=WHOLE_OR_TEXT, host=TEXT),
    "grpc": fields(port=WHOLE, service=TEXT),
}
_PROBE = Fields(
    _HANDLER
    | dict.fromkeys(("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"), WHOLE)
    | {"terminationGracePeriodSeconds": WHOLE}
)
_VALUE_FROM = Fields(dict.fromkeys(("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"), ANYTHING))
CONTAINER = fields(
    name=TEXT,
    image=TEXT,
    command=Items(TEXT),
    args=Items(TEXT),
    ports=Items(fields(name=TEXT, hostPort=WHOLE, containerPort=WHOLE, protocol=TEXT, hostIP=TEXT)),
    env=Items(fields(name=TEXT, value=TEXT, valueFrom=_VALUE_FROM)),
    resources=fields(limits=Entries(QUANTITY), requests=Entries(QUANTITY)),
    restartPolicy=TEXT,
    volumeMounts=Items(fields(name=TEXT, readOnly=FLAG, mountPath=TEXT, subPath=TEXT)),
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    startupProbe=_PROBE,
    lifecycle=fields(postStart=ANYTHING, preStop=ANYTHING),
    terminationMessagePolicy=TEXT,
    imagePullPolicy=TEXT,
)
POD_SPEC = fields(
    volumes=Items(
        fields(
            name=TEXT,
            hostPath=fields(path=TEXT),
            secret=fields(secretName=TEXT),
            persistentVolumeClaim=fields(claimName=TEXT),
            configMap=fields(name=TEXT),
        )
    ),
    initContainers=Items(CONTAINER),
    containers=Items(CONTAINER),
    ephemeralContainers=Items(ANYTHING),
    restartPolicy=TEXT,
    terminationGracePeriodSeconds=WHOLE,
    activeDeadlineSeconds=WHOLE,
    dnsPolicy=TEXT,
    nodeSelector=LABELS,
    serviceAccountName=TEXT,
    priorityClassName=TEXT,
    hostname=TEXT,
    subdomain=TEXT,
)
TEMPLATE = fields(metadata=METADATA, spec=POD_SPEC)

_FIELD_REF = fields(fieldPath=TEXT)
_ARGS = Items(fields(name=TEXT, value=TEXT, valueFrom=fields(podTemplateHashValue=TEXT, fieldRef=_FIELD_REF)))
_TEMPLATES = Items(fields(templateName=TEXT, clusterScope=FLAG))
ANALYSIS = fields(templates=_TEMPLATES, args=_ARGS)

_STRING_MATCH = fields(exact=TEXT, prefix=TEXT, regex=TEXT)
STEP = fields(
    setWeight=WHOLE,
    pause=fields(duration=WHOLE_OR_TEXT),
    experiment=fields(
        templates=Items(fields(name=TEXT, specRef=TEXT, replicas=WHOLE, weight=WHOLE)),
        duration=TEXT,
        analyses=Items(fields(name=TEXT, templateName=TEXT, clusterScope=FLAG, args=_ARGS)),
    ),
    analysis=ANALYSIS,
    setCanaryScale=fields(weight=WHOLE, replicas=WHOLE, matchTrafficWeight=FLAG),
    setHeaderRoute=fields(name=TEXT, match=Items(fields(headerName=TEXT, headerValue=_STRING_MATCH))),
    setMirrorRoute=fields(
        name=TEXT,
        match=Items(fields(method=_STRING_MATCH, path=_STRING_MATCH, headers=Entries(_STRING_MATCH))),
        percentage=WHOLE,
    ),
    plugin=fields(name=TEXT, config=ANYTHING),
)
_VIRTUAL_SERVICE = fields(name=TEXT, routes=Items(TEXT), tlsRoutes=Items(ANYTHING), tcpRoutes=Items(ANYTHING))
TRAFFIC_ROUTING = fields(
    istio=fields(
        virtualService=_VIRTUAL_SERVICE,
        virtualServices=Items(_VIRTUAL_SERVICE),
        destinationRule=fields(name=TEXT, canarySubsetName=TEXT, stableSubsetName=TEXT),
    ),
    nginx=fields(stableIngress=TEXT, stableIngresses=Items(TEXT), annotationPrefix=TEXT),
    alb=fields(ingress=TEXT, ingresses=Items(TEXT), servicePort=WHOLE, rootService=TEXT, annotationPrefix=TEXT),
    smi=fields(rootService=TEXT, trafficSplitName=TEXT),
    ambassador=fields(mappings=Items(TEXT)),
    appMesh=fields(virtualService=fields(name=TEXT, routes=Items(TEXT)), virtualNodeGroup=ANYTHING),
    traefik=fields(weightedTraefikServiceName=TEXT),
    apisix=fields(route=fields(name=TEXT, rules=Items(TEXT))),
    managedRoutes=Items(fields(name=TEXT)),
    plugins=Entries(ANYTHING),
    maxTrafficWeight=WHOLE,
)
_ANTI_AFFINITY = fields(
    preferredDuringSchedulingIgnoredDuringExecution=fields(weight=WHOLE), requiredDuringSchedulingIgnoredDuringExecution=ANYTHING
)
_POD_METADATA = fields(labels=LABELS, annotations=LABELS)
CANARY = fields(
    canaryService=TEXT,
    stableService=TEXT,
    steps=Items(STEP),
    trafficRouting=TRAFFIC_ROUTING,
    maxUnavailable=WHOLE_OR_TEXT,
    maxSurge=WHOLE_OR_TEXT,
    analysis=ANALYSIS,
    antiAffinity=_ANTI_AFFINITY,
    canaryMetadata=_POD_METADATA,
    stableMetadata=_POD_METADATA,
    scaleDownDelaySeconds=WHOLE,
    scaleDownDelayRevisionLimit=WHOLE,
    abortScaleDownDelaySeconds=WHOLE,
    dynamicStableScale=FLAG,
    pingPong=fields(pingService=TEXT, pongService=TEXT),
    minPodsPerReplicaSet=WHOLE,
    replicaProgressThreshold=fields(type=TEXT, value=WHOLE),
)
BLUE_GREEN = fields(
    activeService=TEXT,
    previewService=TEXT,
    previewReplicaCount=WHOLE,
    autoPromotionEnabled=FLAG,
    autoPromotionSeconds=WHOLE,
    maxUnavailable=WHOLE_OR_TEXT,
    scaleDownDelaySeconds=WHOLE,
    scaleDownDelayRevisionLimit=WHOLE,
    abortScaleDownDelaySeconds=WHOLE,
    prePromotionAnalysis=ANALYSIS,
    postPromotionAnalysis=ANALYSIS,
    antiAffinity=_ANTI_AFFINITY,
    previewMetadata=_POD_METADATA,
    activeMetadata=_POD_METADATA,
)
ROLLOUT = fields(
    metadata=METADATA,
    spec=fields(
        replicas=WHOLE,
        selector=SELECTOR,
        workloadRef=fields(apiVersion=TEXT, kind=TEXT, name=TEXT, scaleDown=TEXT),
        template=TEMPLATE,
        minReadySeconds=WHOLE,
        strategy=fields(blueGreen=BLUE_GREEN, canary=CANARY),
        revisionHistoryLimit=WHOLE,
        paused=FLAG,
        progressDeadlineSeconds=WHOLE,
        progressDeadlineAbort=FLAG,
        restartAt=TEXT,
        rollbackWindow=fields(revisions=WHOLE),
        analysis=fields(successfulRunHistoryLimit=WHOLE, unsuccessfulRunHistoryLimit=WHOLE),
    ),
)
