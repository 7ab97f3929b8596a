#!/bin/sh
# BullMQ with a redis-server on loopback: COUNT times `true`, 8 at a time. Prints seconds; 77: it is not installed.
# NODE_PATH names the directory node_modules that has it and ioredis.
command -v redis-server > /dev/null && command -v node > /dev/null || exit 77
node -e 'require("bullmq"); require("ioredis")' 2> /dev/null || exit 77
redis-server --port 16399 --bind 127.0.0.1 --dir "$2" --appendonly yes --appendfsync always > "$2/log" 2>&1 &
redis=$!
cat > "$2/drain.js" << 'EOF'
const { spawn } = require("child_process");
const { Queue, Worker } = require("bullmq");
const connection = { host: "127.0.0.1", port: 16399, maxRetriesPerRequest: null };
const count = Number(process.argv[2]);
const run = () => new Promise((done) => spawn("true").on("close", done));
(async () => {
  const queue = new Queue("drain", { connection });
  const begin = process.hrtime.bigint();
  await queue.addBulk(Array.from({ length: count }, () => ({ name: "true", data: {} })));
  let left = count;
  const worker = new Worker("drain", run, { connection, concurrency: 8 });
  await new Promise((done) => worker.on("completed", () => --left || done()));
  console.log(Number(process.hrtime.bigint() - begin) / 1e9);
  process.exit(0);
})();
EOF
node "$2/drain.js" "$1"
kill "$redis"
wait "$redis" 2> /dev/null
