# shellcheck shell=bash
# record-process.sh FILE: writes this shell's process id, start and boot to FILE, for recorded_process. Sourced by the first
# process of new namespaces while /proc is still the host's: this is the host's view, and no number changes with `exec`.
stat=$(</proc/self/stat)
read -ra fields <<<"${stat##*) }"
printf '%s %s %s\n' "${stat%% *}" "${fields[19]}" "$(</proc/sys/kernel/random/boot_id)" >"$1.new"
mv -- "$1.new" "$1"
