// Command tidegate-controlplane is a whole Kubernetes control plane in one binary, for development, tests and demonstrations.
//
// Every part is the real one, imported as an ordinary Go module; this file only chooses which of them to be. The wrapper that
// wires the parts together (ports, certificates, tokens, readiness, the end) is the Python package beside it.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	_ "time/tzdata" // A CronJob may name a time zone that the host has no data for.

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// parts maps a sub-command to the component it becomes. Each reads os.Args as if it were that component's own executable.
var parts = map[string]func() int{
	"certificates":            writeCertificates,
	"etcd":                    func() int { etcdmain.Main(os.Args); return 0 },
	"kube-apiserver":          func() int { return cli.Run(apiserver.NewAPIServerCommand()) },
	"kube-controller-manager": func() int { return cli.Run(controllermanager.NewControllerManagerCommand()) },
	"kube-scheduler":          func() int { return cli.Run(scheduler.NewSchedulerCommand()) },
	"kwok":                    runKwok,
}

func main() {
	if len(os.Args) < 2 || parts[os.Args[1]] == nil {
		names := make([]string, 0, len(parts))
		for name := range parts {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "usage: %s PART [flags], where PART is one of: %s\n", os.Args[0], strings.Join(names, ", "))
		os.Exit(2)
	}
	if err := endWithParent(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	// client-go derives the user agent from os.Args[0], so the audit log tells the components apart by their usual names.
	os.Args = os.Args[1:]
	os.Exit(parts[os.Args[0]]())
}
