#!/bin/sh
# pueue: COUNT times `true`, 8 at a time. Prints seconds; 77: it is not installed.
command -v pueue > /dev/null && command -v pueued > /dev/null || exit 77
cat > "$2/pueue.yml" << EOF
client: {}
daemon: {}
shared:
  pueue_directory: $2
  runtime_directory: $2
  use_unix_socket: true
EOF
pueued -c "$2/pueue.yml" > "$2/log" 2>&1 &
daemon=$!
tries=100
until pueue -c "$2/pueue.yml" parallel 8 > /dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 1
    sleep 0.1
done
begin=$(date +%s.%N)
left=$1
while [ "$left" -gt 0 ]; do
    pueue -c "$2/pueue.yml" add -- true > /dev/null
    left=$((left - 1))
done
pueue -c "$2/pueue.yml" wait --quiet > /dev/null
end=$(date +%s.%N)
kill "$daemon"
echo "$end $begin" | awk '{ print $1 - $2 }'
