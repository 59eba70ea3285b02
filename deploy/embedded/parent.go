package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	// parentVariable holds the process id of the wrapper. Unset, a part lives until it is ended by someone.
	parentVariable = "TIDEGATE_PARENT_PID"
	// orphanVariable holds a folder to remove once the wrapper has died without tidying up.
	orphanVariable = "TIDEGATE_REMOVE_ON_ORPHAN"
	parentPoll     = 200 * time.Millisecond
	// Every part notices within one poll; the one that removes the data waits until the others no longer write to it.
	orphanGrace = 3 * parentPoll
)

// endWithParent makes this process end when the wrapper does, even by kill -9.
//
// Polling the parent's id is dull and reliable: PR_SET_PDEATHSIG fires when the *thread* that forked ends (the wrapper may well
// start us from a pool), and a pipe stays open as long as any other child of the wrapper has inherited it.
func endWithParent() error {
	text, set := os.LookupEnv(parentVariable)
	if !set {
		return nil
	}
	parent, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%s=%q is not a process id", parentVariable, text)
	}
	go func() {
		for os.Getppid() == parent {
			time.Sleep(parentPoll)
		}
		if folder := os.Getenv(orphanVariable); folder != "" {
			time.Sleep(orphanGrace)
			_ = os.RemoveAll(folder)
		}
		os.Exit(1)
	}()
	return nil
}
