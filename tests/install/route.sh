#!/bin/sh
# One way of using the library from another project, tried from the beginning:
#   route.sh install|find_package|pkg_config|add_subdirectory static|shared \
#            source-folder work-folder
# The install route builds and installs for the others; each of them then builds
# consumers in C and in C++ and runs them.
set -eu
route=$1 kind=$2 source=$3 work=$4
here=$source/tests/install
prefix=$work/prefix
build=$work/$route
case $kind in
static) shared=OFF ;;
shared) shared=ON ;;
esac
# The library may lie in lib, lib64 or lib/<architecture>.
export LD_LIBRARY_PATH="$prefix/lib"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"

run_consumers() {
  "$1/core_c"
  "$1/core_cxx"
  "$1/net_c"
  "$1/deflate_c"
}

configure() {
  folder=$1
  shift
  rm -rf "$build"
  cmake -G Ninja -S "$folder" -B "$build" -DCMAKE_BUILD_TYPE=Release \
    -DBUILD_SHARED_LIBS="$shared" -DCMAKE_INSTALL_PREFIX=/nowhere \
    -DCMAKE_INSTALL_LIBDIR=lib "$@"
}

case $route in
install)
  rm -rf "$prefix"
  configure "$source" -DNWS_BUILD_TESTS=OFF -DNWS_BUILD_EXAMPLES=OFF
  cmake --build "$build"
  cmake --install "$build" --prefix "$prefix"
  "$prefix/bin/nws" --version
  test -s "$prefix/share/man/man1/nws.1"
  test -s "$prefix/include/nws/nws.h"
  ;;
pkg_config)
  rm -rf "$build" && mkdir -p "$build"
  # Unquoted: lists of words. $CC and $CXX may hold flags, too.
  core=$(pkg-config --cflags --libs nws)
  net=$(pkg-config --cflags --libs nws_net)
  deflate=$(pkg-config --cflags --libs nws_deflate)
  ${CC:-cc} -std=c11 "$here/core_consumer.c" -o "$build/core_c" $core
  ${CXX:-c++} -std=c++11 "$here/core_consumer.cpp" -o "$build/core_cxx" $core
  ${CC:-cc} -std=c11 "$here/net_consumer.c" -o "$build/net_c" $net
  ${CC:-cc} -std=c11 "$here/deflate_consumer.c" -o "$build/deflate_c" $deflate
  run_consumers "$build"
  ;;
find_package | add_subdirectory)
  configure "$here/$route" -DCMAKE_PREFIX_PATH="$prefix" -DNWS_TREE="$source"
  cmake --build "$build"
  run_consumers "$build"
  ;;
esac
