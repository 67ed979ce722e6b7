#!/usr/bin/env bash
# Installs XNAT's clients, each into an environment of its own below tests/clients, from their locks, hashes checked:
# they need versions of their packages that can't stand together. Done before, it takes a moment.
set -euo pipefail
cd "$(dirname "$0")/.."

# The same package is unpacked once for all of them.
export UV_CACHE_DIR="$PWD/.cache/uv" UV_SYSTEM_CERTS=1

wanted() { # of a lock: what its environment is made for
  cat "$1" <(.venv/bin/python -VV) <(pwd -P) | sha256sum
}

missing=()
for lock in requirements/clients/*.txt; do
  made=tests/clients/.environments/$(basename "$lock" .txt)/made-for
  [ "$(cat "$made" 2>/dev/null)" = "$(wanted "$lock")" ] || missing+=("$lock")
done
[ ${#missing[@]} -gt 0 ] || exit 0

.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements/lock.txt
for lock in "${missing[@]}"; do
  name=$(basename "$lock" .txt)
  made=tests/clients/.environments/$name
  printf 'setup: installing the client %s\n' "$name"
  .venv/bin/python -m venv --clear --without-pip "$made"
  # uv takes a tenth of pip's time for some 500 packages, but knows no index of pip's own configuration.
  .venv/bin/uv pip install --quiet --python "$made/bin/python" --require-hashes -r "$lock" ||
    .venv/bin/python -m pip --python "$made/bin/python" install --disable-pip-version-check --no-input --quiet \
      --no-compile --require-hashes -r "$lock"
  wanted "$lock" >"$made/made-for"
done
