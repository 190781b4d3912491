# setup.sh - sourced by ./run and ./test: installs what is missing, configures builds. Quiet when nothing is to do.
# shellcheck shell=bash

PACKAGES_BUILD="build-essential cmake ninja-build pkg-config libuv1-dev libnghttp2-dev libssl-dev libre2-dev
  libyaml-dev libzstd-dev liblz4-dev libsnappy-dev libdeflate-dev zlib1g-dev libxxhash-dev libsqlite3-dev
  libcrypt-dev libcurl4-openssl-dev"
PACKAGES_OPTIONAL="ccache libmimalloc-dev"
PACKAGES_TEST="libcmocka-dev curl python3 mold clang-14 libclang-rt-14-dev libfuzzer-14-dev clang-format-14
  prometheus prometheus-alertmanager prometheus-node-exporter prometheus-blackbox-exporter prometheus-redis-exporter
  prometheus-postgres-exporter prometheus-nginx-exporter prometheus-elasticsearch-exporter prometheus-process-exporter
  redis-server postgresql nginx-light prometheus-pushgateway python3-prometheus-client python3-venv"
PACKAGES_UI="nodejs npm"
PACKAGES_BROWSER="chromium" # drives the pages in ./test ui

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

missing_packages() { # PACKAGES…: those that are not installed, in one call
  local have p
  # shellcheck disable=SC2016
  have=$(dpkg-query -W -f='${db:Status-Abbrev}${Package} \n' "$@" 2>/dev/null | sed -n 's/^ii *//p' | tr -d '\n')
  for p in "$@"; do
    case " $have" in *" $p "*) ;; *) printf '%s ' "$p" ;; esac
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Packages of Debian bring services that start by themselves: not wanted here.
apt_install() {
  command -v apt-get >/dev/null || die "no apt-get here: vigie is built on Debian 12; missing: $MISSING"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "packages are missing and installing them needs root; as root:  apt-get install --no-install-recommends $MISSING"
  say "installing system packages: $MISSING"
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null && as_root chmod +x $policy && made=1
  fi
  as_root apt-get update -q >"$BUILD/apt.log" 2>&1 || true
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $MISSING >>"$BUILD/apt.log" 2>&1 </dev/null
  local rc=$?
  [ -n "$made" ] && as_root rm -f $policy
  [ $rc = 0 ] || { tail -20 "$BUILD/apt.log" >&2; die "apt-get failed (whole log: $BUILD/apt.log)"; }
}

# need PACKAGES…: installs those that are absent. A node of any origin serves for nodejs and npm.
need() {
  mkdir -p "$BUILD"
  MISSING=$(missing_packages "$@")
  if command -v node >/dev/null && command -v npm >/dev/null; then
    MISSING=$(printf '%s' "$MISSING" | tr ' ' '\n' | grep -vx -e nodejs -e npm | tr '\n' ' ')
  fi
  [ -z "${MISSING// /}" ] || apt_install
}

# build PRESET [TARGETS…]: configures when needed, builds. More memory than cores matters little: ninja decides.
build() {
  local preset=$1
  shift
  [ -f "$BUILD/$preset/build.ninja" ] || (cd "$TOP" && cmake --preset "$preset" >"$BUILD/cmake-$preset.log" 2>&1) ||
    { cat "$BUILD/cmake-$preset.log" >&2; die "configuring $preset failed"; }
  ninja -C "$BUILD/$preset" "$@" >"$BUILD/ninja-$preset.log" 2>&1 ||
    { grep -E 'error|FAILED|warning' "$BUILD/ninja-$preset.log" | head -40 >&2; die "building $preset failed (whole log: $BUILD/ninja-$preset.log)"; }
}

# The UI is built when its sources are newer than what was built; without Node the server still builds.
build_ui() {
  [ -f "$TOP/ui/package.json" ] || return 0
  if ! command -v npm >/dev/null; then
    say "no npm here: building the server without its web pages"
    return 0
  fi
  local stamp=$TOP/ui/node_modules/.vigie-stamp
  if [ ! -f "$stamp" ] || [ "$TOP/ui/package-lock.json" -nt "$stamp" ]; then
    say "installing the UI's npm packages"
    (cd "$TOP/ui" && npm ci --no-audit --no-fund >"$BUILD/npm.log" 2>&1) ||
      { tail -20 "$BUILD/npm.log" >&2; die "installing the npm packages failed (whole log: $BUILD/npm.log)"; }
    touch "$stamp"
  fi
  if [ ! -f "$TOP/ui/dist/index.html" ] || [ -n "$(find "$TOP/ui/src" "$TOP/ui/public" "$TOP/ui/scripts" "$TOP/ui/index.html" "$TOP/ui/vite.config.ts" "$TOP/ui/package-lock.json" -newer "$TOP/ui/dist/index.html" -print -quit 2>/dev/null)" ]; then
    say "building the UI"
    (cd "$TOP/ui" && npm run -s build >"$BUILD/ui.log" 2>&1) || { tail -30 "$BUILD/ui.log" >&2; die "building the UI failed"; }
  fi
}
