# shellcheck shell=bash
# First processes of namespaces: how a later run recognizes one, and how daemons are detached from this shell.

# recorded_process FILE: prints the process id that record-process.sh wrote to FILE, if that process still runs. It counts as
# the same only if it started at the recorded tick of the recorded boot, so that a recycled id is never mistaken for it.
recorded_process() {
  local pid start boot rest
  [[ -r $1 ]] || return 1
  read -r pid start boot <"$1" || return 1
  [[ $boot == "$(</proc/sys/kernel/random/boot_id)" && -r /proc/$pid/stat ]] || return 1
  rest=$(<"/proc/$pid/stat") || return 1
  read -ra rest <<<"${rest##*) }"
  # The state is the third field of stat(5) and the start the twenty-second; a zombie has ended already.
  [[ ${rest[0]} != [ZX] && ${rest[19]} == "$start" ]] || return 1
  printf '%s\n' "$pid"
}

# For a subshell that is about to start a daemon: it must hold neither our locks nor a caller's pipe (else `make | tee` would hang).
close_descriptors() {
  local fd
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    if ((fd > 2)); then
      eval "exec $fd>&-"
    fi
  done
}
