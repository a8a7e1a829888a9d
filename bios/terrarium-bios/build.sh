#!/bin/sh
# Assembles the BIOS: build.sh OUTPUT. Needs GNU as and objcopy; the result depends on the source alone.
set -eu
source=$(dirname "$0")/terrarium-bios.s
object=$(mktemp)
trap 'rm -f "$object"' EXIT
as --32 --fatal-warnings -o "$object" "$source"
objcopy -O binary -j .text "$object" "$1"
