#!/usr/bin/env bash
# Installs XNAT's clients, each into an environment of its own below tests/clients, from their locks, hashes checked:
# they need versions of their packages that can't stand together. Done before, it takes a moment.
set -euo pipefail
cd "$(dirname "$0")/.."

for lock in requirements/clients/*.txt; do
  name=$(basename "$lock" .txt)
  made=tests/clients/.environments/$name
  wanted=$(cat "$lock" <(.venv/bin/python -VV) <(pwd -P) | sha256sum)
  [ "$(cat "$made/made-for" 2>/dev/null)" = "$wanted" ] && continue
  printf 'setup: installing the client %s\n' "$name"
  .venv/bin/python -m venv --clear --without-pip "$made"
  .venv/bin/python -m pip --python "$made/bin/python" install --disable-pip-version-check --no-input --quiet \
    --require-hashes -r "$lock"
  echo "$wanted" >"$made/made-for"
done
