# shellcheck shell=bash
# What both deployment tests have in common. They run the program as a pipeline does, and read its answers in JSON.

# A step that has passed.
ok() { printf '    ok: %s\n' "$*" >&2; }

die() {
  printf '==> FAILED: %s\n' "$*" >&2
  exit 1
}

# mcp WANTED ARGUMENT...: runs the program, and fails unless it succeeds (0) or fails (1) as wanted, in JSON, by exit code alike.
# ANSWER is then the message or the error.
mcp() {
  local wanted=$1 code=0 json success
  shift
  json=$("$PROGRAM" "$@" --output json 2>"$WORK/progress") || code=$?
  success=$(jq --raw-output .success <<<"$json") || die "kubectl-mcp $*: no JSON: $json $(<"$WORK/progress")"
  ANSWER=$(jq --raw-output '.message // .error' <<<"$json")
  if [[ $code != "$wanted" || $success != "$([[ $wanted == 0 ]] && echo true || echo false)" ]]; then
    die "kubectl-mcp $*: exit code $code, $ANSWER
$(<"$WORK/progress")"
  fi
}

# says TEXT: the last answer holds it.
says() {
  [[ $ANSWER == *"$1"* ]] || die "the answer does not hold '$1': $ANSWER"
}
