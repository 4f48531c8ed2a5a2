#!/bin/sh
# Make a virtualenv: sh tools/venv.sh FOLDER [PYTHON]
#
# With PYTHON if one is named, else with the first on PATH that is new enough and has
# venv. Says what to install when nothing fits.
set -eu

folder=$1
named=${2:-}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

found=
for candidate in ${named:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if new_enough "$candidate"; then
        found=$candidate
        if has_venv "$candidate"; then
            exec "$candidate" -m venv --clear "$folder"
        fi
    fi
done

if [ -n "$found" ]; then
    echo "$found has no venv. Debian and Ubuntu: apt install python3-venv" >&2
else
    echo "${named:-python3 on PATH}: Python 3.11 or newer is needed, with venv." >&2
    echo "Debian and Ubuntu: apt install python3 python3-venv; macOS: brew install python" >&2
    echo "Or name another: make install PYTHON=/path/to/python3" >&2
fi
exit 1
