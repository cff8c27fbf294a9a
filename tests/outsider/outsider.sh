#!/bin/sh
# Installs into an empty prefix and builds a stranger's program against it: by CMake with the shared library, by CMake
# with a static floor, by pkg-config, and by pkg-config again after the prefix was moved. Every installed header compiles
# alone as C17 and C++17, from the prefix, without a warning.
# Usage: outsider.sh SOURCE BINARY VERSION LIBDIR CMAKE CC CXX
set -eu
source=$1 binary=$2 version=$3 libdir=$4 cmake=$5 cc=$6 cxx=$7
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$binary" --prefix "$work/first" >"$work/install.log" || { cat "$work/install.log" && exit 1; }
"$cmake" -S "$source/tests/outsider/project" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/first" \
    -DCMAKE_C_COMPILER="$cc" -DEXPECTED_VERSION="$version" >"$work/configure.log" ||
    { cat "$work/configure.log" && exit 1; }
"$cmake" --build "$work/build" >"$work/build.log" || { cat "$work/build.log" && exit 1; }
"$work/build/outsider_vesal"
"$work/build/outsider_core"

warnings="-Wall -Wextra -Wpedantic -Wshadow -Werror"
include=$work/first/include/vesal
for header in "$include"/*/*.h; do
    name=${header#"$include/"}
    # shellcheck disable=SC2086 # a list of flags
    printf '#include "%s"\nextern int not_empty;\n' "$name" |
        $cc -std=c17 $warnings "-I$include" -fsyntax-only -x c -
    # shellcheck disable=SC2086
    printf '#include "%s"\nextern int not_empty;\n' "$name" |
        $cxx -std=c++17 $warnings "-I$include" -fsyntax-only -x c++ -
done

by_pkg_config() {
    PKG_CONFIG_PATH=$1/$libdir/pkgconfig
    export PKG_CONFIG_PATH
    [ "$(pkg-config --modversion vesal)" = "$version" ]
    # shellcheck disable=SC2046 # flags are words
    "$cc" -std=c17 -DEXPECTED_VERSION="\"$version\"" "$source/tests/outsider/outsider.c" -o "$work/by_pkg_config" \
        $(pkg-config --cflags --libs vesal)
    LD_LIBRARY_PATH="$1/$libdir" "$work/by_pkg_config"
}
by_pkg_config "$work/first"
rm -rf "$work/build"
mv "$work/first" "$work/second"
by_pkg_config "$work/second"
if [ -e "$work/second/bin/vesal" ]; then
    "$work/second/bin/vesal" --version
fi
