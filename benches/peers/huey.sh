#!/bin/sh
# huey on SQLite with fsync: COUNT times `true`, 8 workers. Prints seconds; 77: it is not installed.
# JOBCTL_PEER_PYTHON names a Python that has it.
python=${JOBCTL_PEER_PYTHON:-python3}
"$python" -c 'import huey' 2> /dev/null || exit 77
cat > "$2/work.py" << 'EOF'
import os
import subprocess

from huey import SqliteHuey

huey = SqliteHuey(filename=os.path.join(os.environ["DIR"], "huey.db"), fsync=True)


@huey.task()
def run():
    subprocess.call(["true"])
EOF
cat > "$2/drain.py" << 'EOF'
import os
import subprocess
import sys
import time

from work import huey, run

count = int(sys.argv[1])
begin = time.time()
for _ in range(count):
    run()
consumer = subprocess.Popen(
    [sys.executable, "-m", "huey.bin.huey_consumer", "work.huey", "-w", "8", "-d", "0.01", "-q"],
    stderr=subprocess.DEVNULL,
)
while huey.pending_count() or huey.result_count() < count:
    time.sleep(0.02)
print(time.time() - begin)
consumer.terminate()
consumer.wait()
EOF
cd "$2" || exit 1
sed -i 's/    subprocess.call(\["true"\])/    return subprocess.call(["true"])/' work.py
DIR="$2" PYTHONPATH="$2" "$python" drain.py "$1"
