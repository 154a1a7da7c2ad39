# shellcheck shell=bash
# Messages, waits, locks and templates that cluster.sh and the engine's scripts share. SPEAKER names the script in messages.

# Exit codes, so that a caller can tell "broken" from "not possible on this machine".
readonly EXIT_FAILURE=1 EXIT_USAGE=2 EXIT_MISSING=3

# Progress goes to stderr: stdout carries only answers (`env`, `tools`, `status`).
say() { printf '[%s %4ds] %s\n' "$SPEAKER" "$SECONDS" "$*" >&2; }
warn() { printf '[%s %4ds] warning: %s\n' "$SPEAKER" "$SECONDS" "$*" >&2; }

die() {
  printf '[%s %4ds] error: %s\n' "$SPEAKER" "$SECONDS" "$*" >&2
  exit "$EXIT_FAILURE"
}

# Something that this machine lacks: the message says what, and which command mends it.
missing() {
  printf '%s.sh: %s\n' "$SPEAKER" "$*" >&2
  exit "$EXIT_MISSING"
}

show_log() {
  local log=$1
  if [[ -s $log ]]; then
    printf -- '--- last lines of %s\n' "$log" >&2
    tail -n 25 -- "$log" >&2
    printf -- '---\n' >&2
  elif [[ -n $log ]]; then
    printf -- '--- %s is empty\n' "$log" >&2
  fi
}

# A provider may set this to a function that fails, and says why, once waiting has become pointless.
wait_guard=''

# wait_for SECONDS WHAT LOG COMMAND...
# Polls until COMMAND succeeds. At the deadline it says what it waited for, what COMMAND answered last and what
# LOG (may be empty) ends with, and fails. COMMAND must be bounded in time by itself.
wait_for() {
  local limit=$1 what=$2 log=$3 answer='' deadline note
  shift 3
  deadline=$((SECONDS + limit))
  note=$((SECONDS + 10))
  until answer=$("$@" 2>&1); do
    if [[ -n $wait_guard ]] && ! "$wait_guard"; then
      die "gave up waiting for $what"
    fi
    if ((SECONDS >= deadline)); then
      [[ -z $answer ]] || printf -- '--- the last answer: %s\n' "$answer" >&2
      show_log "$log"
      die "$what: not within $limit s"
    fi
    if ((SECONDS >= note)); then
      say "still waiting for $what"
      note=$((SECONDS + 10))
    fi
    sleep 0.2
  done
}

# with_lock FILE SECONDS WHAT: takes an exclusive lock that lives as long as this process. Daemons started from
# here close every descriptor first, so none of them can keep it.
with_lock() {
  local file=$1 limit=$2 what=$3 fd
  mkdir -p -- "$(dirname -- "$file")"
  exec {fd}>>"$file"
  if ! flock --nonblock "$fd"; then
    local deadline=$((SECONDS + limit))
    until say "waiting for another run, which holds the lock of $what ($(tail -n 1 -- "$file"))" && flock --timeout 10 "$fd"; do
      ((SECONDS < deadline)) || die "$what: still locked after $limit s by: $(tail -n 1 -- "$file"), lock file $file"
    done
  fi
  printf 'pid %d: %s.sh %s\n' "$$" "$SPEAKER" "$COMMAND" >"$file"
  lock_fd=$fd
}

# A lock of the whole host's. Lock files are left behind: removing one would break the next run's lock.
lock_file() {
  local folder=/run/lock
  [[ -d $folder ]] || folder=/run
  printf '%s/mcp-operator-%s.lock' "$folder" "$1"
}

# Gives back the lock taken last.
unlock() {
  flock --unlock "$lock_fd"
  exec {lock_fd}>&-
}

# render TEMPLATE: copies it to stdout with every @NAME@ replaced by the variable of that name; an unset one is an error.
render() {
  local template=$1 text name
  text=$(<"$template")
  while [[ $text =~ @([A-Z][A-Z0-9_]*)@ ]]; do
    name=${BASH_REMATCH[1]}
    [[ -v $name ]] || die "$template: no value for @$name@"
    text=${text//"@$name@"/"${!name}"}
  done
  printf '%s\n' "$text"
}

# save NAME...: writes these variables to the state, for later runs of this script to read with `recall`.
save() {
  local name
  for name in "$@"; do
    printf '%s=%q\n' "$name" "${!name}"
  done >"$STATE/cluster.env.new"
  mv -- "$STATE/cluster.env.new" "$STATE/cluster.env"
}

recall() {
  [[ -r $STATE/cluster.env ]] || return 1
  # shellcheck disable=SC1091 # written by save
  source "$STATE/cluster.env"
}

have() { command -v -- "$1" >/dev/null 2>&1; }

# How to call this script for the same cluster again, for messages.
self() {
  if [[ $CLUSTER_NAME == "$DEFAULT_NAME" ]]; then
    printf '%s %s' "$SELF" "$*"
  else
    printf 'CLUSTER_NAME=%s %s %s' "$CLUSTER_NAME" "$SELF" "$*"
  fi
}
