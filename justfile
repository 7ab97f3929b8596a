# What people do here by hand; `just` lists it. Everything runs with plain cargo, too.

# List the recipes.
default:
    @just --list

# All tests; with words, those whose names have them.
test *names:
    cargo test --locked {{names}}

# All tests, each in a process of its own, and what was skipped.
nextest *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    JOBCTL_SKIPS=$(mktemp)
    export JOBCTL_SKIPS
    trap 'sort -u "$JOBCTL_SKIPS"; rm -f "$JOBCTL_SKIPS"' EXIT
    cargo nextest run --locked {{arguments}}

# All that must hold before a change goes in.
ci:
    .ci/run

# Changes to the rules of `core` that its own tests do not notice; with files, those of these.
mutants *files:
    contrib/mutants {{files}}

# The figures of the README.
bench *arguments:
    cargo bench --locked --bench figures -- {{arguments}}

# Fuzz a parser for some seconds; takes cargo-fuzz and a C++ compiler.
fuzz target seconds="60":
    cd fuzz && cargo fuzz run -s none {{target}} -- -max_total_time={{seconds}}

# Read a manual page as it is in the tree: `jobctl.1` or `jobctl.toml.5`.
man page="jobctl.1":
    mandoc -a man/{{page}}

# A Debian package in target/debian; takes cargo-deb.
deb *arguments:
    cargo deb --locked {{arguments}}

# A static binary in target/TARGET/release; takes musl-tools.
static target="x86_64-unknown-linux-musl":
    rustup target add {{target}}
    cargo build --release --locked --target {{target}}

# The notes of a release: the section of a version in the changelog.
notes version:
    contrib/release-notes {{version}}
