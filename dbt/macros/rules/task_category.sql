{#
    What a prompt asks for, by whole words, the first rule that holds. Made for prompts that people type, in
    English; measured against labelled prompts in `tests/integration`.
#}
{% macro task_category(text) -%}
    case
        when {{ text }} = '' then 'other'
        when
            {{ matches(text, "^(y|n|yes|no|yep|yeah|nope|ok|okay|sure|go|continue|proceed|thanks|thank you|perfect|great|good|nice|stop|wait|retry|again|next|done|correct|right|exactly|please|[a-e]|[0-9])[ .!,]*(please|do it|go|go on|go ahead|continue|thanks|thank you|great|perfect|then|now|that works|looks good|good)?[ .!,]*$") }}
            or {{ matches(text, "^(go ahead|go on|go for it|do it|do that|do both|keep going|carry on|sounds good|looks good|that works|try again|lgtm|never mind|nevermind|both|option [0-9a-e]|the (first|second|third|last)( one| option)?)( then| please| now)?[ .!,]*$") }}
            then 'steering'
        when {{ has_word(text, ['code review', 'review', 'audit', 'critique', 'second opinion', 'look over', 'feedback on']) }}
            then 'review'
        when {{ has_word(text, [
            'fix', 'fixes', 'fixed', 'fixing', 'bug', 'bugs', 'buggy', 'broken', 'breaks', 'crash', 'crashes', 'crashing',
            'error', 'errors', 'exception', 'traceback', 'stack trace', 'fails', 'failing', 'failed', 'failure',
            'regression', 'debug', 'not working', 'does not work', "doesn''t work", "isn''t working",
            "doesn''t seem to", 'stopped working', 'wrong', 'hangs', 'leak', 'leaks', 'undefined is not', 'flaky',
        ]) }} then 'bug_fix'
        when {{ has_word(text, [
            'refactor', 'refactoring', 'clean up', 'cleanup', 'simplify', 'rename', 'restructure', 'reorganize',
            'reorganise', 'extract', 'deduplicate', 'dead code', 'split up', 'inline', 'modularize', 'tidy',
        ]) }} then 'refactoring'
        when {{ has_word(text, [
            'write tests', 'add tests', 'unit test', 'unit tests', 'integration test', 'integration tests', 'test coverage',
            'coverage', 'pytest', 'jest', 'vitest', 'test case', 'test cases', 'tests for', 'test for', 'e2e', 'playwright',
            'fixture', 'fixtures', 'mock', 'mocks', 'run the tests', 'run all tests', 'run tests', 'test suite',
        ]) }} then 'testing'
        when {{ has_word(text, [
            'readme', 'docs', 'documentation', 'document', 'docstring', 'docstrings', 'changelog', 'comments', 'jsdoc',
            'tutorial', 'release notes',
        ]) }} then 'documentation'
        when {{ has_word(text, [
            'commit', 'commits', 'push', 'rebase', 'merge', 'cherry-pick', 'pull request', 'pr', 'branch', 'git',
            'deploy', 'deployment', 'release', 'publish', 'ci', 'pipeline', 'docker', 'dockerfile', 'kubernetes', 'helm',
            'terraform', 'install', 'upgrade', 'bump', 'npm', 'pip', 'build', 'compile', 'restart', 'run the server',
            'start the server', 'environment variable', 'secrets', 'cron', 'nginx',
        ]) }} then 'operations'
        when {{ has_word(text, [
            'plan', 'brainstorm', 'design', 'propose', 'proposal', 'architecture', 'approach', 'approaches', 'options',
            'trade-offs', 'tradeoffs', 'pros and cons', 'roadmap', 'strategy', 'spec', 'rfc',
        ]) }} then 'planning'
        when
            {{ matches(text, '^(so |ok |okay |and |but |hm+ |hey |hi |also )?(what|why|how|where|when|who|which|is|are|does|do|did|was|were|should|would it|has|have|explain|tell me|show me|describe|summari[sz]e|walk me|help me understand)') }}
            and not {{ has_word(text, ['how about you', 'can you add', 'should now', 'do the', 'do a', 'do not', "don''t"]) }}
            or {{ has_word(text, ['explain', 'what does', 'how does', 'why does', 'walk me through', 'what is', 'understand', 'difference between']) }}
            then 'explanation'
        when {{ has_word(text, [
            'add', 'adds', 'adding', 'implement', 'implements', 'create', 'build', 'make', 'support', 'write', 'generate',
            'introduce', 'allow', 'enable', 'integrate', 'extend', 'new feature', 'feature', 'set up', 'setup', 'convert',
            'port', 'migrate', 'update', 'change', 'replace', 'use', 'remove', 'delete', 'drop', 'move', 'hide', 'show',
            'i want', 'i need', "let''s", 'we need', 'should', 'turn', 'put',
        ]) }} then 'feature'
        else 'other'
    end
{%- endmacro %}
