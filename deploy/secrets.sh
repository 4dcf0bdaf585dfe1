#!/bin/sh
# Makes what is missing of deploy/secrets; what is there stays as it is. `make up` calls it.
#
#   deploy/secrets.sh [FOLDER]
#
# The folder is the owner's alone. The files in it are readable, since the users of the containers, into which
# they are mounted one by one, are not the owner.
set -eu
umask 022

folder=${1:-$(cd "$(dirname "$0")" && pwd)/secrets}
mkdir -p "$folder"
chmod 0700 "$folder"

for name in metabase_postgres_password metabase_encryption_key metabase_admin_password grafana_admin_password \
    prefect_postgres_password; do
    if [ ! -s "$folder/$name" ]; then
        od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name"
        echo "made $folder/$name"
    fi
done

if [ ! -s "$folder/mongo_uri" ]; then
    if [ -z "${WITH_MONGO:-}" ]; then
        echo "make: which MongoDB? Write its connection string into $folder/mongo_uri and run this again," >&2
        echo "      or let it run one of its own: make up WITH_MONGO=1" >&2
        exit 2
    fi
    printf '%s' 'mongodb://mongo:27017/?replicaSet=rs0' >"$folder/mongo_uri"
    echo "made $folder/mongo_uri: the MongoDB of the profile \`mongo\`"
fi
