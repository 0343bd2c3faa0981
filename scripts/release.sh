#!/bin/sh
# Install the services of a git revision into FOLDER/venv, from wheels that are built from its sources, and its locked
# requirements: scripts/release.sh REVISION FOLDER. BRIDGE_COMPILE=no saves minutes: nothing is compiled.
set -eu
revision=$1 folder=$2 python=${PYTHON:-python3}
rm -rf "$folder"
mkdir -p "$folder/source"
git archive "$revision" | tar -x -C "$folder/source"
folder=$(cd "$folder" && pwd)
"$python" -m venv "$folder/venv"
cd "$folder/source"
pip() { "$folder/venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install --require-hashes -r requirements/build.txt \
    -r requirements/call-control.txt -r requirements/media-gateway.txt -r requirements/agent-relay.txt
pip wheel --no-deps --no-build-isolation --wheel-dir "$folder/wheels" \
    ./libs/common ./services/call-control ./services/media-gateway ./services/agent-relay
pip install --no-deps --no-index "$folder"/wheels/*.whl
