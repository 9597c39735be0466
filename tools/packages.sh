#!/bin/sh
# Install Debian packages for commands that are missing: packages.sh [--optional] COMMAND=PACKAGE ...
# A COMMAND that starts with / is a file to look for; one that starts with lib is looked up in the linker's cache.
# No service of such a package is started, now or with the machine: what the lab runs, it starts in its own namespaces.
set -eu
optional=no
if [ "${1:-}" = --optional ]; then optional=yes; shift; fi
missing=""
for pair in "$@"; do
  command=${pair%%=*} package=${pair#*=}
  case $command in
    /*) [ -e "$command" ] || missing="$missing $package" ;;
    lib*) /sbin/ldconfig -p | grep -q "$command" || missing="$missing $package" ;;
    *) command -v "$command" >/dev/null 2>&1 || [ -x "/usr/sbin/$command" ] || missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "missing:$missing; install them with this system's package manager" >&2
  [ $optional = yes ] && exit 0 || exit 1
fi
if [ "$(id -u)" = 0 ]; then as_root=""
elif command -v sudo >/dev/null 2>&1; then as_root="sudo"
else
  echo "missing:$missing; run as root: apt-get install$missing" >&2
  [ $optional = yes ] && exit 0 || exit 1
fi
echo "== Debian packages:$missing"
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
trap 'rm -f "$log"; [ -z "${made:-}" ] || $as_root rm -f $policy' EXIT
if [ ! -e $policy ]; then
  made=yes
  printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
  $as_root chmod 755 $policy
fi
if ! { $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  [ $optional = yes ] && { echo "going on without:$missing" >&2; exit 0; }
  exit 1
fi
if [ -d /run/systemd/system ]; then
  for package in $missing; do
    for unit in $(dpkg -L "$package" | sed -n 's|.*/systemd/system/\([^/]*\.service\)$|\1|p'); do
      $as_root systemctl disable --quiet "$unit" || true
    done
  done
fi
