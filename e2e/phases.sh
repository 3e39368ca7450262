#!/usr/bin/env bash
# Runs phases of the checks by name, each with its time, and ends with a summary. The first failure ends it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

server=${SERVER:-openbao}
flags=${CARGO_FLAGS:---locked}
# Tests mostly wait for servers, so there may be more of them at once than processors; but many start servers of their own.
threads=${THREADS:-4}

ground() { cargo run $flags --quiet -p vaultbridge-e2e --bin ground -- "$@"; }

format() { cargo fmt --all --check; }

lints() { cargo clippy $flags --workspace --all-targets -- -D warnings; }

# The check of advisories needs a database from the network. Where that cannot be had, the others still count.
dependencies() {
  local deny=(ground exec cargo-deny) said
  command -v cargo-deny >/dev/null && deny=(cargo-deny)
  "${deny[@]}" --workspace --locked --log-level warn check bans licenses sources || return
  if said=$("${deny[@]}" --workspace --locked --log-level warn check advisories 2>&1); then
    echo "$said"
  elif grep -q 'failed to fetch advisory database' <<<"$said"; then
    echo "SKIPPED: advisories. Their database cannot be fetched from here; bans, licences and sources were checked." >&2
  else
    echo "$said"
    return 1
  fi
}

unit() { cargo test $flags --workspace --lib --bins --quiet; }

# Some seconds for each target; `make fuzz` takes longer.
fuzz() { cargo run $flags --quiet -p vaultbridge-e2e --bin fuzz -- --seconds "${FUZZ:-20}"; }

components() { ground components etcd golden helm kubernetes kwok postgres prometheus "$server"; }

e2e() {
  cargo build $flags --workspace --bins --quiet &&
    SERVER=$server cargo test $flags --workspace --test it -- --test-threads="$threads" ${TEST:-}
}

summary=()
begin=$SECONDS
end() {
  printf '\n'
  printf '%s\n' "${summary[@]}"
  printf '%-14s %4d s  %s\n' total $((SECONDS - begin)) "on $server"
  exit "$1"
}
trap 'end 130' INT

for phase in "$@"; do
  printf '\n== %s\n' "$phase"
  start=$SECONDS
  "$phase"
  code=$?
  word=passed
  [ "$code" = 0 ] || word=FAILED
  summary+=("$(printf '%-14s %4d s  %s' "$phase" $((SECONDS - start)) "$word")")
  [ "$code" = 0 ] || end "$code"
done
end 0
