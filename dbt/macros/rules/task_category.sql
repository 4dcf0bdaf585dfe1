{#
    What a prompt asks for, by whole words of its lower-cased text; the first rule that holds decides. Made for
    what people type, in English. How often it is right is measured in `tests/integration/test_dbt_rules.py`.
#}
{% macro task_category(text) -%}
    {%- set question -%}
        ^(so|ok|okay|and|but|hm+|hey|hi|also|please|,| )*(what|why|how|where|who|which|is|are|does|did|was|were|has|(do|have) (i|we|you|they|these|those|all)|when (do|does|did|is|are|was|will|should)|explain|tell me|show me (where|how|what|why)|summari[sz]e|walk me|help me understand|(can|could) you (explain|tell me|describe))( |$)
    {%- endset -%}
    {%- set reply -%}
        ^(yes|yep|yeah|yup|y|no|nope|nah|n|ok|okay|sure|thanks|thank you|perfect|great|good|nice|cool|hm+|stop|wait|retry|correct|right|exactly|both|neither|done|next|continue|proceed|agreed|lgtm)([ ,.!].{0,30})?$
    {%- endset -%}
    {%- set short_reply -%}
        ^((please )?(go|go ahead|go on|go for it|do it|do that|do both|keep going|carry on|try again|never ?mind)|(that|it|this) (works|is fine)|(that|it)(''s| is) (right|fine|correct|it|ok|good)|(that )?(sounds|looks) (good|great|fine|right)|not (now|yet)|[a-e0-9]|(use |take )?(option [0-9a-e]|the (first|second|third|last|other)( one| option)?))( to me| for now| then| now| please| thanks|[ .!,])*$
    {%- endset -%}
    case
        when {{ text }} = '' then 'other'
        when {{ matches(text, reply | trim) }} or {{ matches(text, short_reply | trim) }} then 'steering'
        when {{ has_word(text, [
            'review', 'audit', 'critique', 'second opinion', 'look over', 'feedback on', 'check (the|this|my) '
            ~ '(pull request|pr|diff|code|changes|branch)',
        ]) }} then 'review'
        when {{ has_word(text, [
            '(write|add|create|increase|raise|improve|extend) ((an|a|some|more|the|unit|integration|end-to-end|e2e|property|regression|failing) )*(tests?|test coverage|coverage)',
            'run (all |the |our )*(unit |integration )?tests?', 'run the test suite', 'run pytest', 'no tests? for',
        ]) }} then 'testing'
        when {{ has_word(text, [
            'fix', 'fixes', 'fixed', 'fixing', 'bugs?', 'buggy', 'broken', 'breaks', 'crash(es|ed|ing)?', 'chokes',
            '[a-z_]*errors?', 'err_[a-z_]+', '[a-z]*exceptions?', 'traceback', 'stack trace', 'fail(s|ing|ed|ure)?',
            'regression', 'debug', 'not work(ing)?', 'stopped working', 'wrong', 'incorrect', 'hangs', 'freezes', 'leaks?',
            'flak(y|iness)', 'flickers?', 'segfaults?', 'null pointer', 'deadlock', 'race condition', 'does nothing',
            'nothing happens', "(is|does|do|are|was|did|has)n''t (work|run|show|load|open|start|close|update|match|appear|save|fire|connect|render|collapse|scroll|send|respond|find|build)(ing)?",
            'should not happen', 'twice instead', 'duplicates',
        ]) }} and not {{ has_word(text, ['error (handling|messages?)', 'explain']) }} then 'bug_fix'
        when {{ has_word(text, [
            'refactor(ing)?', 'clean ?up', 'clean (it|this|that) up', 'simplify', 'rename', 'restructure', 'reorgani[sz]e',
            'extract', 'de-?duplicate', 'dead code', 'split up', 'modulari[sz]e', 'tidy', 'early returns?',
            'without changing (the )?behaviou?r', '(turn|convert) (this|these|the) .* into', 'instead of dicts',
            'get rid of',
        ]) }} then 'refactoring'
        when {{ has_word(text, [
            'unit tests?', 'integration tests?', 'test coverage', 'coverage', 'pytest', 'jest', 'vitest', 'test cases?',
            'tests for', 'test for', 'e2e', 'playwright', 'fixtures?', 'mocks?', 'property test', 'test suite',
        ]) }} then 'testing'
        when {{ has_word(text, [
            'readme', 'docs', 'documentation', 'document (the|this|that|how|all|every)', 'docstrings?', 'changelog',
            'comments? (to|in|for|about)', 'jsdoc', 'tutorial', 'release notes', 'adr', 'wiki', 'user guide',
        ]) }} then 'documentation'
        when {{ has_word(text, [
            'plan (the|a|this|for|how|first)', 'come up with a plan', 'brainstorm', 'propose', 'proposal', 'approach(es)?',
            'give me( some| the)? options', 'trade-?offs?', 'pros and cons', 'roadmap', 'strategy', 'write a spec',
            'rfc', 'design (the|a|an)', 'think about how', 'how (should|could|would) we',
        ]) }} then 'planning'
        when
            {{ matches(text, question | trim) }}
            or {{ has_word(text, ['explain', "i don''t understand", 'walk me through']) }}
            or ({{ text }} like '%?' and not {{ has_word(text, ['(can|could|would|will|should) (you|we)', 'please']) }})
            then 'explanation'
        when {{ has_word(text, [
            'commit', 'push', 'squash', 'rebase', 'merge', 'cherry-pick', 'revert', 'pull request', 'pr', 'git',
            '(create|make|open|switch to) (a|the) (new )?branch', 'deploy', 'deployment', 'release', 'publish',
            'ci', 'docker', 'dockerfile', 'kubernetes', 'helm', 'terraform', 'ansible', 'install', 'upgrade', 'bump',
            'npm', 'pip', 'dependencies', '(build|rebuild|push) the (image|docker image|project|package|app)', 'compile',
            'restart', '(run|start|stop) (the )?(dev |development )?(server|app|containers?|migrations?)', 'staging',
            'production', 'environment variables?', 'api key', 'cron', 'nginx', 'tag',
        ]) }} then 'operations'
        when {{ has_word(text, [
            'add', 'adds', 'adding', 'implement(s|ed)?', 'create', 'build', 'make', 'support', 'write', 'generate',
            'introduce', 'allow', 'let', 'enable', 'integrate', 'extend', 'feature', 'set up', 'setup', 'convert', 'port',
            'migrate', 'update', 'change', 'replace', 'use', 'remove', 'delete', 'drop', 'move', 'hide', 'show', 'send',
            'notify', 'put', 'turn', 'i want', 'i need', "i''d like", "let''s", 'we need', 'needs?', 'should', 'handle',
        ]) }} then 'feature'
        else 'other'
    end
{%- endmacro %}
