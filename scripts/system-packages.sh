#!/usr/bin/env bash
# Installs the Debian packages that tests and benchmarks use, where they are missing; without root, says what to install.
# Further package names may be given (setup.sh asks for python3-venv, where Python comes without it).
set -euo pipefail

readonly -A program_of=([unzip]=unzip [zip]=zip [zstd]=zstd [xz-utils]=xz [bzip2]=bzip2 [procps]=ps \
  [nodejs]=node [npm]=npm [chromium]=chromium [curl]=curl)

say() { printf 'setup: %s\n' "$*" >&2; }

missing=("$@")
for package in "${!program_of[@]}"; do
  command -v "${program_of[$package]}" >/dev/null || missing+=("$package")
done
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  say "this machine lacks what Debian calls ${missing[*]}: install them by its own means, then run this again"
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  say "Debian packages are missing; as root: apt-get install ${missing[*]}"
  exit 1
fi
say "installing Debian packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # RUNLEVEL: services are not started; the tests start their own
readonly log=${TMPDIR:-/tmp}/scandock-apt.$$.log
if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  say "apt-get could not install ${missing[*]}"
  exit 1
fi
rm -f "$log"
