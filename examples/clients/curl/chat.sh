#!/usr/bin/env bash
# A small client of fleetchatd, with curl and jq.
#
#   chat.sh send KEY TEXT    sends TEXT, once however often it is run with KEY, and waits for the end
#   chat.sh follow NAME      prints what people say, and acknowledges it when it is printed
set -euo pipefail

api=http://fleetchat/v1
socket=${FLEETCHATD_SOCKET:-${XDG_RUNTIME_DIR:-/run}/fleetchatd/fleetchatd.sock}
first_ms=200 longest_ms=10000 pause_ms=$first_ms

# ask PATH [CURL'S OPTIONS]: the answer goes to standard output, its status behind it.
ask() {
    curl --silent --show-error --unix-socket "$socket" --max-time 90 \
        --write-out '\n%{http_code}\n' "${@:2}" "$api/$1" || true
}

again() { # growing pauses, jittered, so that many clients do not come back at once
    echo "$1; trying again" >&2
    local ms=$((pause_ms / 2 + RANDOM % (pause_ms / 2)))
    sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
    pause_ms=$((pause_ms * 2 < longest_ms ? pause_ms * 2 : longest_ms))
}

refuse() {
    echo "cannot ${command}: $1" >&2
    exit 1
}

# Whether a status means "later": no answer; another reader has the name; stopping; a full disk.
later() { [[ $1 =~ ^(000|409|503|507)$ ]]; }

send() { # KEY TEXT
    local body answer status message
    body=$(jq --null-input --arg text "$2" '{text: $text}')
    while true; do
        answer=$(ask 'messages?wait_s=30' --data "$body" --header "Idempotency-Key: $1")
        status=${answer##*$'\n'} message=${answer%$'\n'*}
        if later "$status"; then
            again "no answer ($status)"
        elif ((status >= 400)); then
            refuse "$(jq --raw-output '"\(.kind): \(.detail)"' <<<"$message")"
        else
            case $(jq --raw-output .state <<<"$message") in
            delivered) return ;;
            failed | unknown) refuse "$(jq --raw-output '"\(.state): \(.error)"' <<<"$message")" ;;
            esac
        fi
    done
}

follow() { # NAME
    local line what done=0 status problem
    while true; do
        status=000 problem="the stream ended"
        # A process of its own, so that it can be ended with us.
        exec 3< <(exec curl --silent --no-buffer --unix-socket "$socket" \
            --write-out '\n%{http_code}\n' "$api/events?subscriber=$1&types=message")
        stream=$!
        while IFS= read -r line <&3; do
            [[ ! $line =~ ^[0-9]{3}$ ]] || status=$line
            [[ $line == "{"* ]] || continue
            what=$(jq --raw-output '.seq // .kind // .type' <<<"$line")
            case $what in
            superseded) return ;;
            *[!0-9]*) problem=$(jq --raw-output '"\(.kind): \(.detail)"' <<<"$line") && continue ;;
            esac
            if ((what > done)); then # one comes again if its acknowledgement got lost
                handle "$line"
                done=$what
            fi
            acknowledge "$1" "$what" || break
            pause_ms=$first_ms
        done
        ((status < 400)) || later "$status" || refuse "$problem"
        again "$problem"
    done
}

acknowledge() { # NAME SEQ
    local answer status
    answer=$(ask "subscribers/$1/ack" --data "{\"seq\": $2}")
    status=${answer##*$'\n'}
    ((status >= 400)) && ! later "$status" && refuse "$(head -n1 <<<"$answer")"
    [[ $status == 200 ]]
}

# Do what is to be done. Killed in here, one gets the same event again.
handle() { printf '%s\n' "$1"; }

stream='' command=${1:-help}
trap '[[ -z $stream ]] || kill "$stream" 2>/dev/null || true' EXIT
trap 'exit 0' TERM INT
case "$command $#" in
"send 3") send "$2" "$3" ;;
"follow 2") follow "$2" ;;
*) sed -n '2,5s/^# \?//p' "$0" >&2 && exit 2 ;;
esac
