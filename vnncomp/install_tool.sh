#!/bin/bash
# usage: install_tool.sh v1
# Installs the Debian packages that are missing and builds the command into build-release/.
source "$(dirname "$0")/common.sh"
version "${1:-}" 'install_tool.sh v1'
cd "$(dirname "$0")/.." || exit 1
source tools/common.sh
need_packages
cmake --preset release -DBOUNDLIGHT_TESTS=OFF && cmake --build --preset release --target boundlight_cli --parallel "$(nproc)" || exit 1
build-release/bin/boundlight --version
