#!/bin/sh
# Plays docker, docker-compose or kubectl: notes how it was called, and answers as the script of the test says.
name=${0##*/}
printf '%s\n' "$name $*" >>"$FAKE/calls"
# shellcheck source=/dev/null
. "$FAKE/$name.sh"
