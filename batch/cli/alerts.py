"""What people are sent after a run, as the settings have it."""

from batch.cli.context import Context
from batch.pipeline.alerts import Notifier, alert_for
from stream import logs


def send_alerts(context: Context) -> None:
    """Send an alert if the newest run failed or recovered, and a way to send it is set."""
    settings = context.settings.pipeline
    if settings.alert_webhook is None and settings.alert_command is None:
        return
    alert = alert_for(context.journal.steps())
    if alert is not None:
        webhook = settings.alert_webhook.get_secret_value() if settings.alert_webhook else None
        Notifier(webhook, settings.alert_command, logs.logger("alerts")).send(alert)
