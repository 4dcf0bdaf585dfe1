"""What a secret looks like: rules of `detect-secrets` for tokens that tell by their form, and some of ours.

Rules that only guess (high entropy, any word behind `key`) are left out: conversations are full of hashes and
identifiers, and a rule that hits those would destroy what the analysis is about.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

KINDS = (
    "api_key", "artifactory", "aws", "azure", "bearer", "email", "environment", "github", "gitlab", "google",
    "jwt", "mailchimp", "npm", "private_key", "pypi", "sendgrid", "slack", "square", "stripe", "telegram",
    "twilio", "url_password",
)  # fmt: skip
"""Every kind there is; a closed set, as it labels a metric."""

# Begin with a letter where they can: Python finds a first letter fastest. Rules share them.
_A = r"A(?:KIA|SIA|BIA|CCA|3T|KC|Iza|ccountKey=|C[a-z0-9]{32})"
_S = r"S(?:G\.|K[a-z0-9]{32})"
_G = r"g(?:h[pousr]_|ithub_pat_|l[a-z]{2,5}-)"


@dataclass(frozen=True)
class SecretRule:
    """One form of secret.

    Attributes:
        kind: One of `KINDS`.
        pattern: Finds it. If it has a group, the group is the secret; else all that it matches.
        hints: Patterns, of which at least one is found wherever `pattern` is; they cost a fraction of it.
    """

    kind: str
    pattern: re.Pattern[str]
    hints: tuple[str, ...]


def known_rules() -> tuple[SecretRule, ...]:
    """Return all rules in the order to apply them in: what says most about a secret is first."""
    return (*_private_keys(), *_of_detect_secrets(), *_ours())


def _private_keys() -> Iterator[SecretRule]:
    # Up to its end, or of what is cut off, all there is; line ends may be escaped, as in JSON.
    yield _rule(
        "private_key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
        "-----BEGIN ",
    )
    yield _rule(
        "private_key", r"PuTTY-User-Key-File-\d(?s:.*?)(?:Private-MAC: ?[0-9a-f]{1,128}|\Z)", "PuTTY-User-"
    )


def _of_detect_secrets() -> Iterator[SecretRule]:
    # Imported here: they bring an HTTP client along, which is needed only to ask a service about a key.
    from detect_secrets.plugins import (  # noqa: PLC0415
        aws,
        azure_storage_key,
        github_token,
        gitlab_token,
        mailchimp,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        twilio,
    )

    # Its second rule is replaced by one of `_ours`: a secret key is one without quotes, too.
    yield from _taken("aws", aws.AWSKeyDetector.denylist[:1], _A)
    yield from _taken("azure", azure_storage_key.AzureStorageKeyDetector.denylist, _A)
    yield from _taken("github", github_token.GitHubTokenDetector.denylist, _G)
    yield from _taken("gitlab", gitlab_token.GitLabTokenDetector.denylist, _G, "GR1348941")
    yield from _taken("mailchimp", mailchimp.MailchimpDetector.denylist, "-us[0-9]")
    yield from _taken("pypi", pypi_token.PypiTokenDetector.denylist, "pypi-AgE")
    yield from _taken("sendgrid", sendgrid.SendGridDetector.denylist, _S)
    yield from _taken("slack", slack.SlackDetector.denylist, "xox[abposr]-", r"hooks\.slack\.com")
    yield from _taken("square", square_oauth.SquareOAuthDetector.denylist, "sq0csp-")
    yield from _taken("stripe", stripe.StripeDetector.denylist, "k_live_")
    yield from _taken("twilio", twilio.TwilioKeyDetector.denylist, _A, _S)


def _ours() -> Iterator[SecretRule]:
    # A look-behind that ends a run of the same characters lets each run be read once, however long it is.
    yield _rule("jwt", r"(?<![\w-])eyJ[\w=-]{8,}(?:\.[\w=-]*)*\.[\w=-]+", "eyJ")
    yield _rule("github", r"(?<!\w)github_pat_\w{22,255}", _G)
    yield _rule(
        "aws",
        r"(?:aws|AWS)[A-Za-z_]{0,24}(?:key|Key|KEY)[^A-Za-z0-9]{1,8}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
        "aws[A-Za-z_]",
        "AWS[A-Za-z_]",
    )
    yield _rule("artifactory", r"(?<![\w-])AKC[A-Za-z0-9]{10,}", _A)
    yield _rule("google", r"(?<![\w-])AIza[\w-]{35}", _A)
    yield _rule("telegram", r"(?<!\d)\d{8,10}:AA[\w-]{33}", ":AA")
    yield _rule("npm", r"(?<!\w)npm_[A-Za-z0-9]{36}", "npm_")
    yield _rule("npm", r"""_authToken\s{0,4}=\s{0,4}([^\s"'\[\\]{8,})""", "_authToken")
    # Of Anthropic, OpenAI and those who write theirs alike: `sk-`, then long, with a digit.
    yield _rule("api_key", r"(?<![\w-])sk-(?=[A-Za-z_-]{0,60}\d)[\w-]{20,}", "sk-")
    yield _rule("bearer", r"[Bb]earer\s{1,4}([\w.~+/=-]{16,})", r"earer\s")
    yield _rule(
        "url_password",
        r"""://[^\s:/@"'<>`\\]{0,256}:([^\s/@"'<>`\\\[]{1,256})@""",
        r"://[^\s:/@]*:[^\s/@]+@",
    )
    yield _rule(
        "environment",
        r"""(?:PASSWORD|PASSWD|SECRET|TOKEN|KEY)=["']?(?![$<{\[])([^\s"'\\\[]{8,})""",
        *("D=", "T=", "N=", "Y="),
    )
    yield _rule(
        "email",
        r"(?<![\w.%+-])(?!git@)[\w.%+-]+@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![\w-])",
        r"@[A-Za-z0-9-]{1,63}\.[A-Za-z0-9]",
    )


def _rule(kind: str, pattern: str, *hints: str) -> SecretRule:
    return SecretRule(kind, re.compile(pattern, re.ASCII), hints)


def _taken(kind: str, patterns: Sequence[re.Pattern[str]], *hints: str) -> Iterator[SecretRule]:
    """Take rules over: all that one matches is the secret, whatever its groups are."""
    for pattern in patterns:
        yield _rule(kind, re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern.pattern), *hints)
