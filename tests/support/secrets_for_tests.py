"""Made-up secrets of every kind, put together here so that no scanner takes this file for a leak."""

_DIGITS = "0123456789abcdef"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MIXED = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2dE3fG4hI5jK6lM7nO8pQ9"

SECRETS = {
    "api_key": ["sk" + "-ant-api03-" + _MIXED, "sk" + "-proj-" + _MIXED[:40]],
    "artifactory": ["AK" + "C" + _MIXED[:20]],
    "aws": ["AK" + "IA" + "Q3EXAMPLEKEY2345", "ASI" + "A" + "Q3EXAMPLEKEY2345"],
    "azure": ["Account" + "Key=" + (_MIXED * 2)[:86] + "=="],
    "email": ["ana.lima+logs@mail.example.org"],
    "github": ["gh" + "p_" + _MIXED[:36], "github" + "_pat_" + _MIXED[:40]],
    "gitlab": ["glp" + "at-" + _MIXED[:20], "GR13" + "48941" + _MIXED[:20], "glagent" + "-" + _MIXED[:52]],
    "google": ["AI" + "za" + _MIXED[:35]],
    "jwt": ["ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NTY3ODkwIn0." + _MIXED[:43]],
    "mailchimp": [_DIGITS * 2 + "-us12"],
    "npm": ["np" + "m_" + _MIXED[:36]],
    "private_key": [
        "-----BEGIN RSA PRIV" + "ATE KEY-----\n" + f"{_MIXED}\n" * 3 + "-----END RSA PRIV" + "ATE KEY-----",
        "-----BEGIN OPENSSH PRIV" + "ATE KEY-----\\n" + _MIXED + " … cut off",
        "PuTTY-User" + "-Key-File-3: ssh-ed25519\n" + _MIXED + "\nPrivate-MAC: " + _DIGITS * 4,
    ],
    "pypi": ["pypi-AgEI" + "cHlwaS5vcmc" + (_MIXED * 2)[:80]],
    "sendgrid": ["S" + "G." + _MIXED[:22] + "." + _MIXED[:43]],
    "slack": [
        "xox" + "b-123456789012-" + _MIXED[:24].lower(),
        "https://hooks.slack" + ".com/services/T0123ABCD/B0123ABCD/" + _MIXED[:24],
    ],
    "square": ["sq0" + "csp-" + _MIXED[:43]],
    "stripe": ["sk_li" + "ve_" + _MIXED[:24]],
    "telegram": ["123456789" + ":AA" + _MIXED[:33]],
    "twilio": ["A" + "C" + _DIGITS * 2, "S" + "K" + _DIGITS * 2],
}
"""By kind; each is a secret as a whole."""

IN_CONTEXT = {
    "aws": [("aws_secret_access_key = ", (_MIXED + _LETTERS)[:40], "\n")],
    "bearer": [("Authorization: Bearer ", _MIXED[:30], '"')],
    "environment": [("export DB_PASSWORD=", "correct-horse-battery", "\n"), ("API_KEY='", _MIXED[:12], "'")],
    "npm": [("//registry.example.org/:_auth" + "Token=", _DIGITS * 2, "\n")],
    "url_password": [
        ("mongodb://app:", "ge!heim%40x", "@db.internal:27017/?replicaSet=rs0"),
        ("postgres://app:", "hunter2", "@db/x"),
    ],
}
"""By kind: what stands before a secret, the secret, and what stands behind it and is to stay."""
