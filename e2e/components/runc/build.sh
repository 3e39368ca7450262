#!/usr/bin/env bash
# Builds runc into $1. It is half C (it enters namespaces before Go starts), and without seccomp no pod with a profile starts.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")"
pkg-config --exists libseccomp || {
  echo "libseccomp is missing: apt-get install libseccomp-dev pkg-config" >&2
  exit 1
}
CGO_ENABLED=1 go build -trimpath -tags seccomp -ldflags '-s -w' -o "$out/runc" github.com/opencontainers/runc
