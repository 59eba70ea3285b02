"""The demonstration: one Rollout from blue to yellow, on real parts, with a person at the gate.

`play` starts and ends everything, `scenario` tells what happens in which order, `screens` shows it, `progress` says it in words.
"""
