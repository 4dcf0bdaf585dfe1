#!/bin/sh
# Starts Alertmanager with one receiver, named by ALERTMANAGER_URL: Alertmanager itself reads no environment.
# ALERTMANAGER_KIND says what listens there: `slack` (Slack, Mattermost and their like) or `webhook` (Alertmanager's
# own JSON). Without an address, alerts show on its page and in Prometheus only.
set -eu

url=${ALERTMANAGER_URL:-} kind=${ALERTMANAGER_KIND:-slack} config=/tmp/alertmanager.yml
umask 077
{
    echo 'route:'
    echo '  receiver: operator'
    echo '  group_by: [alertname]'
    echo '  group_wait: 10s'
    echo '  group_interval: 1m'
    echo '  repeat_interval: 4h'
    echo 'receivers:'
    echo '  - name: operator'
    case "$url:$kind" in
        :*) ;;
        *:slack)
            echo '    slack_configs:'
            echo '      - api_url: '"'$url'"
            echo '        send_resolved: true'
            ;;
        *:webhook)
            echo '    webhook_configs:'
            echo '      - url: '"'$url'"
            echo '        send_resolved: true'
            ;;
        *)
            echo "error: ALERTMANAGER_KIND is $kind" >&2
            echo "  what to do: set it to slack or webhook in deploy/.env" >&2
            exit 2
            ;;
    esac
} >"$config"

exec alertmanager --config.file="$config" --storage.path=/alertmanager --cluster.listen-address= "$@"
