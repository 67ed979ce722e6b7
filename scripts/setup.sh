#!/usr/bin/env bash
# Makes .venv in the project's folder from the locked requirements: `setup.sh run` for what Scandock needs to run,
# `setup.sh dev` for what its checks and tests need as well, `setup.sh dev --no-clients` for the checks alone. Done
# before, it takes a moment: each part leaves a stamp that says what it was made from. What pip, uv and apt say goes to
# .cache/setup.log, and is shown where something fails.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly what=${1:?"say run or dev"} clients=${2:-}
readonly log=.cache/setup.log
readonly VENDOR=src/scandock/web/pages/static/vendor # filled by hatch_build.py
readonly AUTHORITIES=/etc/ssl/certs/ca-certificates.crt # Debian's
export UV_CACHE_DIR="$PWD/.cache/uv" UV_SYSTEM_CERTS=1 # as scripts/clients.sh has it

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
  say "$@"
  exit 1
}

quietly() { # runs a command, its output into the log; shows the log's end where it fails
  "$@" >>"$log" 2>&1 && return
  tail -n 40 "$log" >&2
  fail "failed: $*"
}

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer found; install one, or name it: make PYTHON=/path/to/python3"
}

stamp() { # what an installed environment depends on: the locks, the project's own metadata, and where it stands
  { cat "requirements/$1.txt" pyproject.toml scripts/setup.sh hatch_build.py web/package-lock.json && pwd -P && .venv/bin/python -VV; } 2>/dev/null | sha256sum
}

is_current() { [ -x .venv/bin/scandock ] && [ -e "$VENDOR/made-from.txt" ] && [ "$(cat ".venv/made-for-$1" 2>/dev/null)" = "$(stamp "$1")" ]; }

make_environment() {
  local python
  # A venv knows its own absolute path: one that was made elsewhere (a copied clone) or cut short is made anew.
  if ! .venv/bin/python -c 'import os, sys, pip; sys.exit(not os.path.samefile(sys.prefix, ".venv"))' 2>/dev/null; then
    python=$(find_python)
    say "making .venv with $("$python" -V)"
    "$python" -m venv --clear .venv >>"$log" 2>&1 && return
    [ -n "$(command -v apt-get)" ] || fail "$python cannot make a venv: $(tail -n 1 "$log")"
    scripts/system-packages.sh python3-venv # Debian's Python comes without it
    quietly "$python" -m venv --clear .venv
  fi
}

locked_by_pip() {
  quietly .venv/bin/python -m pip install --disable-pip-version-check --no-input --no-compile --require-hashes \
    --only-binary :all: -r "$1"
}

locked() { # by uv, which takes a tenth of pip's time; it knows no index of pip's own configuration: then pip does it
  .venv/bin/uv pip install --python .venv/bin/python --require-hashes --only-binary :all: -r "$1" >>"$log" 2>&1 ||
    locked_by_pip "$1"
}

install_locked() {
  say "installing $(grep -c == "requirements/$what.txt") locked packages, hashes checked"
  locked_by_pip requirements/lock.txt # uv
  locked "requirements/$what.txt"
  [ -n "$(command -v npm)" ] || locked requirements/node.txt
  quietly .venv/bin/python -m pip install --disable-pip-version-check --no-input --no-deps --no-build-isolation \
    --editable .
  # Explicitly, as PYTHONDONTWRITEBYTECODE may be set: without byte code each start compiles every module again.
  quietly .venv/bin/python -m compileall -q -j 0 .venv/lib/python3.*/site-packages
  stamp "$what" >".venv/made-for-$what"
}

install_clients() { # what the tests drive by node, in the folder of its lock; no code of a package is run for it
  local made=tests/node/node_modules/.made-for wanted
  wanted=$(cat tests/node/package-lock.json <(node --version) | sha256sum)
  [ "$(cat "$made" 2>/dev/null)" = "$wanted" ] && return
  say "installing what the tests drive by node, hashes checked"
  # Node knows its own authorities alone: the machine's, which pip and apt trust, are to count as well.
  [ -e "$AUTHORITIES" ] && export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$AUTHORITIES}
  quietly npm ci --prefix tests/node --ignore-scripts --no-audit --no-fund --fetch-retries=5
  echo "$wanted" >"$made"
}

mkdir -p .cache
exec 9>.cache/setup.lock
flock 9 # two makes at once take turns
: >"$log"

make_environment
if [ "$what" = dev ]; then
  scripts/system-packages.sh
fi
if ! is_current dev && ! is_current "$what"; then
  install_locked
fi
if [ "$what" = dev ] && [ "$clients" != --no-clients ]; then
  install_clients
  quietly scripts/clients.sh
fi
.venv/bin/python -m compileall -q src >>"$log" 2>&1 || true # what does not compile is for the checks to say
