"""The way to the Kubernetes API, and the only package that talks to it (an import contract says so).

    kinds        what a path is made of                    pure
    selectors    does a label set match                    pure
    patches      merge patch (RFC 7396), JSON patch (RFC 6902)   pure
    errors       the API server's refusals as exceptions   pure
    credentials  kubeconfig or service account -> Cluster
    transport    one HTTP exchange: time-outs, what may be sent twice
    client       Kube: one verb, one request
    watch        bytes of a watch -> events                pure but for `Kube.watch`
    store        objects of one kind with indexes          pure
    cache        Cache: list + watch -> store, for ever
    memory/      MemoryKube: the same verbs without a server; reference and test double

Objects are raw dicts from end to end: typed models cost 10 times as much per watch event (200 us against 21) and reject what
a newer server may send. There is no client-side throttle: it only hides load from the one who could act on it; the API server's
own 429 is honoured instead.
"""
