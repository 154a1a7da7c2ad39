#!/usr/bin/env bash
# ShellCheck over every shell script in the repository; e2e/cluster/test-static.sh sees to those of the cluster, which
# are read from one entry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v shellcheck >/dev/null; then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo '==> installing shellcheck' >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --no-install-recommends shellcheck >/dev/null 2>&1 ||
      { apt-get update >/dev/null && apt-get install --yes --no-install-recommends shellcheck >/dev/null; }
  else
    echo 'missing: shellcheck. On Debian or Ubuntu: sudo apt-get install shellcheck' >&2
    exit 3
  fi
fi

is_shell() {
  local first=''
  [[ $1 == *.sh ]] && return
  [[ $1 != *.* && -f $1 ]] && IFS= read -r first <"$1" 2>/dev/null
  [[ $first == '#!'*sh ]]
}

# What git knows and what is new, without what it ignores.
scripts=()
while IFS= read -r file; do
  if [[ -f $file && $file != e2e/cluster/* ]] && is_shell "$file"; then scripts+=("$file"); fi
done < <(git ls-files --cached --others --exclude-standard)
shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
echo "shellcheck: ${#scripts[@]} scripts are clean"
