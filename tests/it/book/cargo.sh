#!/bin/bash
# Stands for `cargo run` in the session of a page: what it would run is built already.
[ "$1" = run ] || { echo "only \`cargo run\` is known here" >&2; exit 1; }
shift
program=$BUILT/allswell
while [ $# -gt 0 ]; do
    case $1 in
    --release | --quiet) ;;
    --example) program=$BUILT/examples/$2; shift ;;
    --) shift; break ;;
    *) echo "unknown to this session: $1" >&2; exit 1 ;;
    esac
    shift
done
exec "$program" "$@"
