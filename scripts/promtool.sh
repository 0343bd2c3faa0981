#!/usr/bin/env bash
# Installs Prometheus and promtool on Debian and Ubuntu, for the tests of alert rules and dashboards, without starting
# the service. Elsewhere it does nothing: the tests are skipped.
set -euo pipefail
command -v promtool >/dev/null && exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "apt-get or root is missing: install Prometheus yourself, or its tests are skipped" >&2
  exit 0
fi
policy=/usr/sbin/policy-rc.d # its code 101 forbids packages to start services
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
{ "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -y -qq --no-install-recommends prometheus; } \
  >/dev/null || echo "Prometheus could not be installed: its tests are skipped" >&2
