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
    prefect_postgres_password lake_postgres_password; do
    if [ ! -s "$folder/$name" ]; then
        od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name"
        echo "made $folder/$name"
    fi
done

# Profile `lake`: its catalog, and one account of its S3 server, in the server's words and in Amazon's.
if [ ! -s "$folder/lake_catalog_uri" ]; then
    printf 'postgresql://lake:%s@lake-catalog:5432/lake' "$(cat "$folder/lake_postgres_password")" \
        >"$folder/lake_catalog_uri"
    echo "made $folder/lake_catalog_uri"
fi
if [ ! -s "$folder/lake_store_accounts" ]; then
    key=$(od -An -N10 -tx1 /dev/urandom | tr -d ' \n')
    secret=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')
    printf '{"identities": [{"name": "lake", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], %s}]}' \
        "$key" "$secret" '"actions": ["Admin", "Read", "List", "Tagging", "Write"]' >"$folder/lake_store_accounts"
    (umask 077 && printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_ALLOW_HTTP=true\n' \
        "$key" "$secret" >"$folder/lake_store.env")
    echo "made $folder/lake_store_accounts and lake_store.env"
fi

if [ ! -s "$folder/mongo_uri" ]; then
    if [ -z "${WITH_MONGO:-}" ]; then
        echo "make: which MongoDB? Write its connection string into $folder/mongo_uri and run this again," >&2
        echo "      or let it run one of its own: make up WITH_MONGO=1" >&2
        exit 2
    fi
    printf '%s' 'mongodb://mongo:27017/?replicaSet=rs0' >"$folder/mongo_uri"
    echo "made $folder/mongo_uri: the MongoDB of the profile \`mongo\`"
fi
