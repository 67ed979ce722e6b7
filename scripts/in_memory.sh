#!/usr/bin/env bash
# Run a command whose temporary files are in memory, where there is room for them; they are gone once it has ended.
#
# Tests write and sync some 100,000 small files: on a disk that is a tenth of their work, and a third of their waiting.
# A file system in memory that is too small (as in containers), or that runs no programs, is left alone.
set -euo pipefail

readonly memory=/dev/shm needed_kib=$((6 * 1024 * 1024))

has_room() {
    local free available
    free=$(df --output=avail "$memory" 2>/dev/null | tail -n 1) || return 1
    available=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
    ((free >= needed_kib && available >= needed_kib))
}

runs_programs() {
    printf '#!/bin/sh\n' >"$1/program" && chmod +x "$1/program" && "$1/program" 2>/dev/null && rm "$1/program"
}

if has_room; then
    folder=$(mktemp -d "$memory/scandock.XXXX")
    trap 'rm -rf "$folder"' EXIT
    chmod 1777 "$folder" # PostgreSQL is another user
    if runs_programs "$folder"; then
        export TMPDIR=$folder
    fi
fi
"$@"
