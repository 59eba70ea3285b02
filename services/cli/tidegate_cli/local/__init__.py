"""The suite as processes on this machine: control plane, bus and services, started and ended together."""
