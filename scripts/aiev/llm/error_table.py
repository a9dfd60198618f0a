"""What the errors of model servers mean, by status, code and wording: one table for all vendors.

`RULES` is read from top to bottom, and the first rule that fits decides. Status alone is not
enough: vendors say "refused" with 400, 403, 422 or 500, and 429 for an account without money.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Meaning = Literal["refused", "context-full", "cut-off", "busy", "configuration", "unknown"]
"""
refused         the vendor will not answer this prompt: that item is rejected, the others go on
context-full    the prompt is too long for the model: likewise
cut-off         the limit of tokens ended the answer before its first word: an empty answer, cut off
busy            the server is overloaded or limits the rate: wait and try again
configuration   key, model, parameter or account are wrong: stop at once, nothing else will help
unknown         anything else: try again a few times. Where it is this item alone that fails, it is
                rejected; a server that fails for all items ends the run
"""


@dataclass(frozen=True)
class Rule:
    """One row: it fits an error whose status is in `statuses` and that has one of `codes`, or whose
    text matches one of `words`; with neither, the status decides.

    codes: compared with any field `code`, `type`, `status` or `reason`, in lower case; `*` stands
    for any characters.
    words: regular expressions, in any case.
    """

    meaning: Meaning
    statuses: tuple[int, ...]
    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def fits(self, status: int, codes: set[str], text: str) -> bool:
        if status not in self.statuses:
            return False
        if not self.codes and not self.words:
            return True
        if any(self._code_pattern.fullmatch(code) for code in codes if self.codes):
            return True
        return bool(self.words and self._pattern.search(text))

    @cached_property
    def _code_pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(re.escape(code).replace(r"\*", ".*") for code in self.codes))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(self.words), re.IGNORECASE | re.DOTALL)


# Some servers answer 500 where they should answer 400, and gateways have statuses of their own.
_ITEM = (400, 403, 413, 422, 446, 451, 500)

_TEXT = r"(context|sequence|input|prompt|token|message|request|position|conversation|text)s?"
_MORE = (
    r"(exceed|too (long|large|many)|longer|larger|greater|more than|maximum|max\b|limit|at most"
    r"|must be (less|smaller|<)|of only \d)"
)

_REFUSED = (
    *("content_filter", "content_policy_violation", "invalid_prompt", "safety"),
    *("data_inspection_failed", "datainspectionfailed", "responsibleaipolicyviolation"),
    *("moderation", "moderation_blocked", "content_moderation", "content_blocked"),
    *("prohibited_content", "sensitive_words_detected", "guardrail_violation"),
    *("contentfilter", "cyber_policy", "recitation", "1301", "1026", "1027"),
    *("sensitivecontentdetected", "inputtextsensitivecontentdetected"),
    *("outputtextsensitivecontentdetected", "contentpolicyviolationerror", "*policy_violation*"),
    *(
        "*content*filter*",
        "*content*reject*",
        "*content*blocked*",
        "*content*policy*",
        "*jailbreak*",
    ),
    *("*guardrail*", "*moderation*", "*sensitive*", "*prohibited*"),
)

_SYSTEM = (
    r"system\W{1,2}(role|message|prompt|instruction)s? (is |are )?(not|un)\s?"
    r"(supported|enabled|allowed)",
    r"(unexpected|invalid|unsupported|unknown) role|role \W?system\W? (is )?not",
    r"role\W? (is |are )?(not|un)\s?(supported|enabled|allowed|permitted)",
    r"only .{1,60} roles are supported|messages\W{1,2}\d+\W{1,2}role\b",
    # A chat template that takes no system message, or no two messages of one role.
    r"roles must alternate|(first|last|system) messages? (must|should)|expected (first|last) role",
    r"(chat|jinja)[ _.-]?template|template error",
)

RULES = (
    # One request above the limit of a minute is never sent, however long one waits.
    Rule("context-full", (429,), words=(r"request too large",)),
    # vLLM: this prompt leaves less room than max_tokens; a shorter one leaves enough.
    Rule("context-full", (400,), words=(r"your request has \d+ (input|prompt) tokens",)),
    # Go's words for a connection that was closed; nothing here is about a model's context.
    Rule("unknown", (400, 500), words=(r"context (deadline|cancel)",)),
    # A code says what a status that means "busy" elsewhere does not.
    Rule("refused", (429, 502, 503), codes=_REFUSED),
    # Google's words for a rate limit are those of an account without money elsewhere.
    Rule("busy", (429,), codes=("resource_exhausted",), words=(r"retry in \d",)),
    # OpenRouter: other calls under way have reserved the rest of the money.
    Rule("busy", (402,), codes=("openrouter_in_flight_budget", "in_flight_budget_exhausted")),
    # Waiting does not fill an account, though most vendors say 429.
    Rule(
        "configuration",
        (400, 402, 403, 429),
        codes=(
            *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "1113"),
            *("credit_balance_exhausted", "enforced_spend_limit_reached"),
            *("arrearage", "account_deactivated", "billing_error", "budget_exceeded"),
        ),
        words=(
            r"insufficient (account )?(balance|funds|quota|credits)",
            r"exceeded your current quota, please check your plan",
            r"credit balance is too low",
            r"billing (is )?(disabled|not active|not enabled)",
            r"(out of|requires more|never purchased) credits",
            r"(account|organi[sz]ation)\b.{0,40}"
            r"(good standing|in arrears|deactivated|disabled|suspended|must be verified)",
            r"(usage limits?|spending limit|budget)\b.{0,40}(regain access|reached|exceeded)",
            r"(reached|exceeded|over) (your|the|its) .{0,20}(usage|spend\w*) limits?",
            r"余额不足|欠费",
        ),
    ),
    # OpenAI's reasoning models, whose thoughts took all tokens.
    Rule("cut-off", (400,), words=(r"max_tokens or model output limit was reached",)),
    # A wrong parameter, whatever else its message mentions ("... not supported in this context").
    Rule(
        "configuration",
        (400, 404, 422),
        codes=(
            *("unsupported_parameter", "unsupported_value", "unknown_parameter"),
            *("invalid_parameter", "model_not_found", "invalid_api_key", "extra_forbidden"),
        ),
        words=(
            r"(unknown|unsupported|unrecogni[sz]ed|unexpected|extra|additional) (\w+ )?"
            r"(parameter|argument|field|key|propert|option|name \")",
            r"(parameter|field|argument|option)s? (\S+ )?((is|are) )?"
            r"(not (supported|permitted|allowed|recogni[sz]ed)|unsupported|unknown|deprecated)",
            r"extra (inputs|fields) (are )?not permitted",
            r"(is|are) not supported (with|by|for|in) (this|the)\b",
            r"does not support (the |a )?(custom )?"
            r"((\w+ )?(parameter|value)|system|['\"`]|temperature|top_p|seed)",
            r"cannot both be (specified|set)|only one of .{0,30}(temperature|top_p)",
            r"parameter\b.{0,60}\b(is|are) (not valid|invalid|not supported)",
            r"(maximum|max|limit) (value )?(for|of) \W?max_\w*tokens",
            r"invalid url\b|http request.{0,20} to (an? |the )?https",
            r"\bmax_\w*tokens\b.{0,20}(is )?too (large|high)",
            r"\bmax_\w*tokens: \d+ >",
            # By itself; together with the prompt it would be the prompt that is too long.
            r"\A\W*max_\w*tokens\W+(of )?(\d+\W+)?(exceeds?|is above|is greater than) "
            r"(?!.{0,40}(context|input|prompt))",
            r"at most \d+ completion tokens",
            r"\b(temperature|top_p): ",
            *_SYSTEM,
            r"not an? (\w+ )?(parameter|argument|field|option|model)",
            r"(parameter|field|argument|option)s? (\S+ )?(is|are) (invalid|incompatible)",
            r"invalid \W?(temperature|top_p|top_k|seed|logprobs|stop)\b",
            r"developer instruction is not enabled",
            r"model\b.{0,100}(does not exist|not found|not exist|no longer (available|supported))",
            r"model\b.{0,100}(decommissioned|retired|on-demand throughput)|模型不存在|参数有误",
            r"provider not provided|login fail",
            r"(unknown|invalid) model\b|\bmodel (is required|\S+ is not supported)",
            r"(provide|specify) a model|only supports? stream",
            r"(incorrect|invalid) (api|x-api)?[ -]?key",
            r"api key (is )?(not valid|invalid|expired)",
        ),
    ),
    Rule("configuration", (500,), words=(*_SYSTEM, r"model\b.{0,100}not found, try pulling")),
    Rule("configuration", (403,), words=(r"(not|n't) have (access|permission)",)),
    Rule(
        "refused",
        _ITEM,
        codes=_REFUSED,
        words=(
            r"content exists risk",
            r"inappropriate content",
            r"\b(was|were|been|is) (filtered|flagged|blocked by)",
            r"content[ _-]?(management|moderation|filter|polic|safety|violation)",
            r"usage polic",
            r"safety (system|reason|filter|polic|setting|guideline|check)",
            r"\bmoderation\b",
            r"\bguardrails?\b",
            r"\A\W*(safety|recitation|prohibited_content)\W*\Z",
            r"(policy|policies) violation",
            r"prohibited (content|use)",
            r"violat\w+.{0,60}(polic|terms|guideline|rules)",
            r"(sensitive|unsafe|harmful|illegal|offensive|risk|risky)"
            r" (content|information|words?|topic)",
            r"(content|message|prompt|input)s? (is|are|was|were|may be|contains?) "
            r"(unsafe|harmful|illegal|offensive|sensitive|inappropriate)",
            r"blocked (due to|by|because).{0,40}(content|safety|polic|filter|guardrail)",
            r"(response|output|completion|prompt|content|answer) (was |is |has been )?blocked",
            r"considered high[ -]risk",
            r"input new_sensitive|sensitive info",
            r"jailbreak|prompt injection|malicious (prompt|content)",
            r"\bpii\b (was |is )?(found|detected)",
            r"content (check|was rejected|rejected|is rejected)|非法",
            r"不安全|安全风险|敏感|违规|不适当|不合规",
        ),
    ),
    Rule(
        "context-full",
        _ITEM,
        codes=(
            *("context_length_exceeded", "exceed_context_size_error", "string_above_max_length"),
            *("request_too_large", "prompt_too_long", "context_window_exceeded"),
            *("string_too_long", "1261", "1039", "*_tokens_exceeded", "*context_length*"),
        ),
        words=(
            rf"{_TEXT}\W+(\w+ ){{0,2}}(length|size|window|tokens?)\b.{{0,80}}{_MORE}",
            rf"{_TEXT} (\w+ ){{0,3}}(is|are|was|were) too (long|large|many)",
            r"max(imum)? length of .{0,40}(question|message|prompt|input|conversation|text)",
            r"supports?( only)? up to \d+ tokens",
            r"(exceed|longer|larger|greater|more)\w*\b.{0,60}"
            r"(context|(maximum|max|model'?s?|allowed) "
            r"(input|prompt|message|token|sequence|length|number)"
            r"|(token|length|size) (limit|window)|tokens? (allowed|limit))",
            r"(maximum|max|model'?s) (context|prompt|input|sequence)",
            r"(prompt|input|request|message|conversation|context|text)s? too (long|large)",
            r"too (many|large)( \w+)? tokens|too many tokens",
            r"(reduce|shorten) (the |your )?(length|size|prompt|input|number of|messages|context)",
            r"inputs?`? (tokens|length).{0,60}(must|should) be",
            r"must have less than \d+ tokens",
            r"string too long",
            # vLLM, where the prompt leaves no room: "max_tokens must be at least 1, got -186".
            r"max_\w*tokens must be at least \d+, got -",
            r"context (window |length |size )?(is )?(full|shift|overflow)",
            r"contextwindowexceeded",
            r"payload too large",
            r"上下文|超[过出].{0,20}(长度|限制)|超长|输入.{0,20}(过长|过大|超)",
            r"\bn_ctx\b|max_(model|seq)_len|(total )?length of (the )?(input|prompt)",
            r"(?<!_)\b(tokens|characters)\b.{0,60}(exceed|more than|only \d+ (are|is) allowed)",
            r"at most \d+ characters",
        ),
    ),
    Rule("context-full", (413,)),
    Rule("refused", (451,)),
    # Of a key or an account; a 403 that says none of this may be a firewall's, for this prompt.
    Rule(
        "configuration",
        (401, 403),
        codes=("permission_denied", "permission_error", "unsupported_country_region_territory"),
        words=(
            r"\b(key|token|account|subscription|credential|licen[cs]e|project|organi[sz]ation)s?\b",
            r"permission|authenticat|authori[sz]|country|region|location",
        ),
    ),
    # Busy, under a status that would mean something else.
    Rule(
        "busy",
        (400, 403, 404, 423, 424, 500),
        codes=(
            *("rate_limit_exceeded", "rate_limit_error", "overloaded_error", "resource_exhausted"),
            *("throttling", "throttlingexception", "engine_overloaded_error", "unavailable"),
            "unavailable_error",
        ),
        words=(
            r"rate limit",
            r"too many (concurrent )?requests|concurrency limit|concurrent requests",
            r"no healthy upstream",
            r"overloaded",
            r"(model|server|service|engine)\b.{0,40}(busy|loading|warming up)",
            r"(temporarily|service) unavailable|频率|速率",
            r"try again (later|in \d)",
            r"饱和|过多|稍后(再试|重试)",
        ),
    ),
    Rule("busy", (408, 409, 420, 425, 429, 498, 502, 503, 504, 509)),
    Rule("busy", (520, 521, 522, 523, 524, 527, 529, 530, 598, 599)),
    # The address is another one: a key is sent nowhere else than where the config says.
    Rule("configuration", (300, 301, 302, 303, 304, 305, 306, 307, 308)),
    Rule("configuration", (401, 402, 403, 404, 405, 406, 407, 410, 411, 415, 426, 501, 505)),
    # A value out of its bounds: "`top_p` must be > 0.0 and < 1.0", "max_tokens exceeds ...".
    Rule(
        "configuration",
        (400, 422),
        words=(
            r"\b(temperature|top_p|top_k|min_p|seed|stop|max_tokens|max_completion_tokens"
            r"|max_new_tokens|reasoning_effort|verbosity|logit_bias|logprobs|stream_options|model)\b"
            r".{0,80}(must|should|expected|invalid|out of range|unsupported|exceeds|at least"
            r"|only allowed"
            r"|too large|greater|less|deprecated|(can|may) only|cannot|not (allowed|supported))",
            r"must be set to|supported range|(?<!messages)\b[a-z_]+: input should be",
            r"(invalid|missing|required|bad) (value|parameter|model|request body)",
            r"invalid \W?max_\w*tokens\b",
        ),
    ),
)
