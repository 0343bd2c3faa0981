"""Manifests of `k8s/` as `kubectl kustomize` builds them: each overlay, and each component in at least one variant."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

Manifest = dict[str, Any]

VARIANTS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "local": ("overlays/local", ()),
    "aks": ("overlays/aks", ()),
    "aks-key-vault": ("overlays/aks", ("key-vault",)),
    "aks-secrets-as-files": ("overlays/aks", ("secrets-as-files",)),
    "app-routing": ("base", ("app-routing", "keda", "deletion-cost", "cilium")),
    "hpa": ("base", ("ingress", "hpa", "monitoring")),
    "gateway-namespace": ("ingress/app-routing", ()),
}
"""Name of each build: folder in `k8s/`, and the components that are added to it."""


def build(root: Path, variant: str, into: Path) -> list[Manifest]:
    """Return the objects of a variant. `into`: an empty folder. Raises `RuntimeError`, as `render` does."""
    folder, components = VARIANTS[variant]
    target = root / "k8s" / folder
    if components:
        target = into / variant
        target.mkdir()
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": "voice-bridge",
            "resources": [os.path.relpath(root / "k8s" / folder, target)],
            "components": [os.path.relpath(root / "k8s/components" / name, target) for name in components],
        }
        (target / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return render(target)


def render(folder: Path) -> list[Manifest]:
    """Return the objects of a kustomization. Raises `RuntimeError` with the error of kubectl."""
    answer = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise RuntimeError(f"{folder}: {answer.stderr}")
    return [manifest for manifest in yaml.safe_load_all(answer.stdout) if manifest]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests if manifest["kind"] == kind}
