# Sourced by ./demo and ./test: makes the environment in .venv that they run in.
# shellcheck shell=sh

fail() {
  printf '%s\n' "$@" >&2
  exit 4
}

# The first Python that is new enough.
find_python() {
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer was found; install one (Debian, Ubuntu: apt install python3)," \
    "or name it: PYTHON=/path/to/python3.11 $0"
}

stamp() {
  echo "$1 $(cat "$1" pyproject.toml | cksum)"
}

# environment FILE: install what FILE pins, and this checkout, unless that was done already.
# What is pinned for the tests holds all that the program needs.
environment() {
  for enough in "$1" requirements/dev.txt; do
    if [ "$(cat .venv/installed 2>/dev/null)" = "$(stamp "$enough")" ] &&
      .venv/bin/python -c '' 2>/dev/null; then
      return
    fi
  done
  python=$(find_python) || exit 4
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    fail "$python cannot make virtual environments: its venv module is missing." \
      "Install it and try again (Debian, Ubuntu: apt install python$version-venv)."
  fi
  echo "installing into .venv (once)" >&2
  rm -f .venv/installed
  "$python" -m venv --clear .venv || fail "the virtual environment .venv could not be made; see above"
  PIP_DISABLE_PIP_VERSION_CHECK=1
  export PIP_DISABLE_PIP_VERSION_CHECK
  .venv/bin/python -m pip install --quiet --require-hashes --requirement "$1" ||
    fail "what $1 pins could not be installed; pip says above why" \
      "(it needs a package index that it can reach, and a Linux with glibc for the wheels)"
  .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable . ||
    fail "this checkout could not be installed; pip says above why"
  stamp "$1" > .venv/installed
}
