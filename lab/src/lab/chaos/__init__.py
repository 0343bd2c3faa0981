"""Injects faults into a running fleet while calls exchange numbered frames (marks), and measures the effect on the
callers.
"""
