#!/usr/bin/env bash
# ShellCheck over every shell script in the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v shellcheck >/dev/null; then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --no-install-recommends shellcheck >/dev/null 2>&1 ||
      { apt-get update >/dev/null && apt-get install --yes --no-install-recommends shellcheck >/dev/null; }
  else
    echo 'missing: shellcheck. On Debian or Ubuntu: sudo apt-get install shellcheck' >&2
    exit 3
  fi
fi

# What git knows and what is new, without what it ignores; by name or by first line.
mapfile -t scripts < <(
  git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
    [[ -f $file ]] || continue
    case $file in
    *.sh) echo "$file" ;;
    *.*) ;;
    *) read -r first <"$file" || true; [[ ${first-} == '#!'*sh ]] && echo "$file" || true ;;
    esac
  done 2>/dev/null
)
shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
echo "shellcheck: ${#scripts[@]} scripts are clean"
