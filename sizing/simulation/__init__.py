"""Discrete-event simulation of the fleet: calls, quota of voice connections, autoscalers, roll-outs and failures."""
