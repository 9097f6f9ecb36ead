#!/usr/bin/env bash
# Make the virtual environment from requirements.lock: every version and hash as committed.
# Usage: scripts/bootstrap.sh [FOLDER]        (PYTHON=python3.12 chooses the interpreter)
set -euo pipefail
cd "$(dirname "$0")/.."

venv=${1:-.venv}
python=${PYTHON:-python3}

say() { printf '%s\n' "$@" >&2; }
fail() { say "$@"; exit 1; }

command -v "$python" >/dev/null || fail "Python 3.11 or newer is needed, and $python was not found."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "Python 3.11 or newer is needed; $("$python" --version) was found." \
        "Name a newer one: make lab PYTHON=python3.12"

if [ ! -x "$venv/bin/python" ]; then
    # Debian keeps what makes pip in a new environment in a package of its own.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        install="apt-get install --yes --no-install-recommends $package"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            say "Installing $package …"
            export DEBIAN_FRONTEND=noninteractive
            apt-get update -qq && $install -qq >/dev/null
        else
            fail "Python's venv is missing. Run this line, then the same command again:" \
                "    sudo $install"
        fi
    fi
    say "Making the virtual environment $venv …"
    "$python" -m venv "$venv"
fi

# uv installs the rest in seconds; it comes by pip, with its own hashes.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --require-hashes --requirement scripts/uv.lock

# pip may have been told of a mirror, which uv does not read.
if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
    mirror=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$mirror" ]; then export UV_DEFAULT_INDEX=$mirror; fi
fi
say "Installing the packages of requirements.lock …"
quiet=(--quiet)
if [ -t 2 ]; then quiet=(); fi # in a terminal uv shows how far it is
"$venv/bin/uv" pip install "${quiet[@]}" --python "$venv/bin/python" \
    --require-hashes --requirement requirements.lock
# setuptools is in the lock: no second copy is downloaded to build our own package.
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" \
    --no-deps --no-build-isolation --editable .
