#!/usr/bin/env bash
# Installs the Debian packages that tests and benchmarks use, where they are missing; without root, says what to install.
# Further package names may be given (setup.sh asks for python3-venv, where Python comes without it), or `package=program`:
# installed where the program is missing (make test-s3 asks for Ceph).
# `--try package=program` alone: installs what only root can use, where the program is missing; without it nothing fails.
set -euo pipefail

readonly -A program_of=([unzip]=unzip [zip]=zip [zstd]=zstd [xz-utils]=xz [bzip2]=bzip2 [procps]=ps \
  [nodejs]=node [npm]=npm [chromium]=chromium [curl]=curl [dcmtk]=dcmdump [orthanc]=Orthanc [dicom3tools]=dciodvfy)

# Chromium's headless build draws the same pages with a sixth less work: taken where Debian has it,
# beside chromium, which alone has a cache of pages that are gone back to.
readonly shell=chromium-headless-shell

has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null; }

say() { printf 'setup: %s\n' "$*" >&2; }

export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # RUNLEVEL: services are not started; the tests start their own
readonly log=${TMPDIR:-/tmp}/scandock-apt.$$.log
install() {
  say "installing Debian packages: $*"
  { apt-get update && apt-get install --yes --no-install-recommends "$@"; } >"$log" 2>&1 || return
  rm -f "$log"
}

if [ "${1:-}" = --try ]; then
  readonly package=${2%%=*} program=${2#*=}
  if [ "$(id -u)" -ne 0 ] || has "$program"; then
    exit 0
  fi
  command -v apt-get >/dev/null && install "$package" || say "$package is not installed: what needs it is left out"
  exit 0
fi

missing=()
for word in "$@"; do
  case $word in
    *=*) has "${word#*=}" || missing+=("${word%%=*}") ;;
    *) missing+=("$word") ;;
  esac
done
for package in "${!program_of[@]}"; do
  has "${program_of[$package]}" || missing+=("$package")
done
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing+=(orthanc-dicomweb)

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    say "this machine lacks what Debian calls ${missing[*]}: install them by its own means, then run this again"
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    say "Debian packages are missing; as root: apt-get install ${missing[*]}"
    exit 1
  fi
  if ! install "${missing[@]}"; then
    tail -n 30 "$log" >&2
    say "apt-get could not install ${missing[*]}"
    exit 1
  fi
fi
if ! command -v "$shell" >/dev/null && [ "$(id -u)" -eq 0 ] && apt-cache show "$shell" >/dev/null 2>&1; then
  install "$shell" || say "apt-get could not install $shell, which would be quicker: chromium is used"
fi
