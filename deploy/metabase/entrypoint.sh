#!/bin/sh
# Starts Metabase, which itself reads no secrets from files: the official image's script does that for some of its
# settings, the JAR for none. For each NAME below, NAME_FILE may name a file that holds the value.
set -eu

fail() {
    echo "error: $1" >&2
    echo "  what to do: $2" >&2
    exit 2
}

for name in MB_DB_PASS MB_DB_USER MB_DB_CONNECTION_URI MB_ENCRYPTION_SECRET_KEY; do
    eval "file=\${${name}_FILE:-} value=\${${name}:-}"
    [ -n "$file" ] || continue
    [ -z "$value" ] || fail "$name and ${name}_FILE are both set" "keep one of them; ${name}_FILE is $file"
    [ -r "$file" ] || fail "cannot read the file that ${name}_FILE names, $file" "let user $(id -u) read it"
    value=$(cat "$file")
    [ -n "$value" ] || fail "the file that ${name}_FILE names, $file, is empty" "let it hold the value"
    export "$name=$value"
    unset "${name}_FILE"
done

# Metabase unpacks the drivers that it brings along into its folder of plugins, so that must be a folder which its
# user may write; the DuckDB driver of this image comes in at each start, so that an upgrade brings the newer one.
mkdir -p "$MB_PLUGINS_DIR" || fail "cannot write $MB_PLUGINS_DIR" "mount a volume there that user $(id -u) may write"
cp -f /metabase/duckdb.metabase-driver.jar "$MB_PLUGINS_DIR/" ||
    fail "cannot write $MB_PLUGINS_DIR" "mount a volume there that user $(id -u) may write"

exec "$@"
