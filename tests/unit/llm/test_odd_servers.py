"""What servers send that no documentation says: errors, answers and words in any form."""

import json
import traceback

import pytest
from openai.types.chat import ChatCompletion
from scripted import Raw, completion

from aiev.core.errors import EndpointError
from aiev.llm.failures import ServerError
from aiev.llm.responses import answer_of, is_broken_off, is_cut_off, is_filtered, is_whole
from aiev.llm.secrets import Redactor
from aiev.llm.streaming import Sampling, StreamingClient
from aiev.llm.thoughts import final_text
from aiev.llm.waiting import retry_after_seconds

TOO_LONG = "prompt is too long"


def read(body: dict) -> ChatCompletion:
    """A body of status 200, as the HTTP client hands it on."""
    return ChatCompletion.model_construct(**body)


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"code": 5021, "message": TOO_LONG}]},
        {"error": {"errors": [{"reason": "x", "message": TOO_LONG}]}},
        {"error": [TOO_LONG]},
        {"error": True, "message": TOO_LONG},
        {"fault": {"faultstring": TOO_LONG, "detail": {"errorcode": "x"}}},
        {"Message": TOO_LONG},
        {"Error": {"Message": TOO_LONG}},
        {"errorMessage": TOO_LONG},
        {"err-msg": TOO_LONG},
        {"error": {"details": TOO_LONG}},
        {"title": "Bad Request", "detail": TOO_LONG},
        {"outcome": {"said": [TOO_LONG, 5]}},
        [TOO_LONG],
        {"error": {"metadata": {"raw": json.dumps({"errors": [{"message": TOO_LONG}]})}}},
        {"message": "context_length_exceeded"},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("status", [200, 400])
def test_a_server_s_words_are_found_wherever_they_are(status, body):
    """In an answer of status 200, too."""
    if status == 400:
        error = ServerError(400, body)
    elif isinstance(body, list):
        return
    else:
        error = ServerError.inside(read({"choices": None, **body}))
    assert error.meaning == "context-full"
    assert TOO_LONG in error.words or "context_length_exceeded" in error.words


@pytest.mark.parametrize(
    ("body", "status", "meaning"),
    [
        ({"code": 429, "message": "no"}, 429, "busy"),
        ({"statusCode": "503", "message": "no"}, 503, "busy"),
        ({"error": {"message": "no", "code": "429"}}, 429, "busy"),
        ({"error": {"message": "no", "http_code": 529}}, 529, "busy"),
        ({"base_resp": {"status_code": 1027, "status_msg": "no"}}, 500, "refused"),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, 500, "busy"),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, 500, "refused"),
        ({"message": "Endpoint request timed out"}, 500, "unknown"),
        ({"code": "DataInspectionFailed", "message": "no"}, 500, "refused"),
    ],
)
def test_an_error_in_the_place_of_an_answer(body, status, meaning):
    error = ServerError.inside(read({"choices": [], **body}))
    assert (error.status, error.meaning) == (status, meaning)


def test_an_error_within_a_choice_and_words_that_are_none():
    choices = read_choices({"finish_reason": "error", "error": {"code": 403, "message": "flagged"}})
    error = ServerError.inside(read({"choices": choices}))
    assert error.status == 403 and error.words == "flagged"
    whole = {"choices": read_choices({"finish_reason": "stop"})}
    for nothing in (None, "", {}, False, {"message": ""}, {"code": 0, "message": "success"}):
        assert ServerError.inside(read({**whole, "error": nothing})) is None
    assert ServerError.inside(read({**whole, "base_resp": {"status_msg": "fine"}})) is None


def read_choices(fields: dict) -> list:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Good day"}, **fields}
    return [type(ChatCompletion(**completion("x")).choices[0]).model_construct(**choice)]


@pytest.mark.parametrize(
    ("status", "message", "meaning"),
    [
        (400, "The 'developer' role is not supported", "configuration"),
        (400, "This organization has been disabled.", "configuration"),
        (400, "You have reached your specified API usage limits.", "configuration"),
        (400, "Budget has been exceeded! Current cost: 10.2", "configuration"),
        (400, "The model `x` has been decommissioned", "configuration"),
        (400, "The model x is no longer supported", "configuration"),
        (400, "LLM Provider NOT provided", "configuration"),
        (400, "模型不存在,请检查模型代码。", "configuration"),
        (500, "Service unavailable.", "busy"),
        (500, "您的账户已达到速率限制,请您控制请求频率", "busy"),
        (307, "", "configuration"),
        (
            400,
            "The parameter `seed` specified in the request is not valid: context",
            "configuration",
        ),
        (400, "'max_tokens' of 8192 is above the model's maximum output of 4096", "configuration"),
        (400, "The maximum value for max_tokens is 8192", "configuration"),
        (400, "reasoning_effort 'none' not supported for this model", "configuration"),
        (400, "This model does not support custom temperature; context: chat", "configuration"),
        (400, "Only one of temperature and top_p may be given", "configuration"),
        (400, "First message must be from user", "configuration"),
        (400, "Invalid URL (POST /chat/completions)", "configuration"),
        (400, "The plain HTTP request was sent to HTTPS port", "configuration"),
        (400, "Too many concurrent requests", "busy"),
        (500, "no healthy upstream", "busy"),
        (400, "The input failed the content check", "refused"),
        (400, "Malicious prompt detected", "refused"),
        (400, "Lakera Guard: prompt injection detected", "refused"),
        (400, "Input text may contain sensitive info", "refused"),
        (400, "非法内容", "refused"),
        (400, "prompt_tokens (9000) > max_model_len (4096)", "context-full"),
        (400, "The number of tokens in the prompt exceeds the model's limit", "context-full"),
        (400, "total length of input and output exceeds 32768", "context-full"),
        (400, "n_keep 5000 >= n_ctx 4096", "context-full"),
        (400, "Prompt has 9000 tokens, but only 8192 are allowed", "context-full"),
        (422, "ensure this value has at most 20000 characters", "context-full"),
        (400, "输入的token数量超出限制", "context-full"),
    ],
)
def test_more_words_of_vendors(status, message, meaning):
    assert ServerError(status, {"error": {"message": message}}).meaning == meaning


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("cyber_policy_violation", "refused"),
        ("ContentSafetyBlocked", "refused"),
        ("content_rejected", "refused"),
        ("PROMPT_JAILBREAK", "refused"),
        ("input_tokens_exceeded", "context-full"),
        ("content_block", "unknown"),
    ],
)
def test_codes_of_a_kind(code, meaning):
    assert ServerError(400, {"error": {"code": code, "message": "no"}}).meaning == meaning


def test_a_403_says_whether_it_is_about_a_key():
    for said in ("Your API key has no permission", "Country not supported", "project is archived"):
        assert ServerError(403, {"error": {"message": said}}).explained
    for said in ("", "Forbidden", "Sorry, you have been blocked"):
        error = ServerError(403, {"message": said})
        assert error.meaning == "configuration" and not error.explained


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "P1DT2H"}, "", 93600),
        ({"Retry-After": "in 30 seconds"}, "", 30),
        ({"RateLimit": '"burst";r=5;t=3, "daily";r=0;t=30'}, "", 30),
        ({}, "Please back off for 30 seconds", 30),
        ({}, "请在 30 秒后重试", 30),
        ({}, '{"error": "loading", "estimated_time": 20.0}', 20),
        ({}, '{"resets_in_seconds": 30}', 30),
        ({}, '{"resets_at": 1700000030}', 30),
        ({}, '{"reset_at": "2023-11-14T22:13:50Z"}', 30),
        ({}, '{"retry_at": "2023-11-14T22:13:50Z"}', 30),
    ],
)
def test_more_forms_of_a_wait(headers, body, seconds):
    assert retry_after_seconds(headers, body, now=1.7e9) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("maxOutputTokens", is_cut_off),
        ("MAX_OUTPUT_TOKENS_REACHED", is_cut_off),
        ("output_truncated", is_cut_off),
        ("token_budget", is_cut_off),
        ("IMAGE_SAFETY", is_filtered),
        ("content_policy", is_filtered),
        ("refused", is_filtered),
        ("content_filter: OTHER", is_filtered),
        ("ERROR", is_broken_off),
        ("cancelled", is_broken_off),
        ("FinishReason.TIMEOUT", is_broken_off),
        ("STOP", is_whole),
        ("end_turn", is_whole),
        ("eos_token", is_whole),
    ],
)
def test_words_for_an_end(word, known):
    judged = [judge for judge in (is_cut_off, is_filtered, is_broken_off, is_whole) if judge(word)]
    assert judged == [known]


def test_words_for_an_end_that_say_nothing():
    for word in ("tool_calls", "stop_token", "unknown", "context-full", "request-failed"):
        assert not is_cut_off(word) and not is_whole(word)


@pytest.mark.parametrize(("native", "reason"), [("MAX_TOKENS", "MAX_TOKENS"), ("STOP", "stop")])
def test_a_router_s_word_for_an_end_and_the_provider_s(native, reason):
    choices = read_choices({"finish_reason": "stop", "native_finish_reason": native})
    for choice in choices:
        choice.message = type("Message", (), {"content": "Half"})()
    assert answer_of(read({"choices": choices})).finish_reason == reason


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("analysisWe add them.assistantfinalAnswer", "Answer"),
        (
            "<|start|>assistant<|channel|>analysis<|message|>Hm<|end|>"
            "<|start|>assistant<|channel|>final<|message|>Answer<|return|>",
            "Answer",
        ),
        ("<|begin_thought|>Hm<|end_thought|>Answer", "Answer"),
        (
            "<\uff5cbegin\u2581of\u2581thinking\uff5c>Hm<\uff5cend\u2581of\u2581thinking\uff5c>A",
            "A",
        ),
        ("<think_start>Hm<think_end>Answer", "Answer"),
        ("[THINKING]Hm[/THINKING]Answer", "Answer"),
        ("<inner_thoughts>Hm</inner_thoughts>Answer", "Answer"),
        ("<chain_of_thought>Hm</chain_of_thought>Answer", "Answer"),
        ("<think type='deep'>Hm", ""),
        ("<think/>\nAnswer", "Answer"),
        ("<think>Hm</think>\n<answer>\n```python\nx\n```\n</answer>", "```python\nx\n```"),
        ("<answer>Answer</answer>", "Answer"),
        # Code about the tags, behind thoughts and without any.
        ("~~~python\nEND = 1\n</think>\n~~~", "~~~python\nEND = 1\n</think>\n~~~"),
        (
            '<think>Hm</think>\n```python\nEND = """\n</think>\n"""\n```',
            '```python\nEND = """\n</think>\n"""\n```',
        ),
        # Text that is like tags.
        ("See [reasoning](a.html) and <b>x</b>.", "See [reasoning](a.html) and <b>x</b>."),
        (
            "<sentiment_analysis>x</sentiment_analysis>",
            "<sentiment_analysis>x</sentiment_analysis>",
        ),
        ("analysis of sums: assistantfinal", "analysis of sums: assistantfinal"),
    ],
)
def test_more_forms_of_thoughts(text, answer):
    assert final_text(text) == answer


@pytest.mark.parametrize("key", ["sk-no-key-required", "anything", "not-needed", "lm-studio"])
def test_a_word_for_no_key_ruins_no_answer(key):
    text = f"def placeholder(key, required=True):  # {key}"
    assert Redactor([key]).redact(text) == text
    assert Redactor([f"{key}-8f3a"]).redact(f"{key}-8f3a") == "[key]"


@pytest.mark.parametrize(
    "shown",
    [
        r"abcd\u002Befgh\u0026ijkl\u0027mnop",
        r"abcd\x2befgh\x26ijkl\x27mnop",
        "abcd+efgh&amp;ijkl&#39;mnop",
        "abcd+efgh&amp;ijkl&apos;mnop",
        "abcd&#43;efgh&#38;ijkl&#39;mnop",
        r"abcd\u002Bef",
        "abcd&#43;ef",
    ],
)
def test_a_key_of_which_only_signs_are_escaped(shown):
    assert (
        Redactor(["abcd+efgh&ijkl'mnop"]).redact(f"no such key: {shown}.") == "no such key: [key]."
    )


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ('data: {"error": {"message": "overloaded secret-key-12345"}}\n\n', "", "overloaded [key]"),
        ('data: {"object": "error", "message": "oops"}\n\n', "", "oops"),
        ("data: {not json}\n\n", "", "does not answer"),
        ("<html>Welcome</html>", "text/html", "no answer"),
        ("", "", "no answer"),
        (
            'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}\n\n',
            "",
            "ended the answer: content_filter",
        ),
    ],
)
def test_a_stream_that_fails_is_an_error_in_words(body, kind, words, scripted, endpoint_of):
    scripted.script = lambda _: Raw(body.encode(), kind or "text/event-stream")
    endpoint = endpoint_of(scripted, api_key="secret-key-12345")
    client = StreamingClient(endpoint, Sampling(), 5.0)
    with pytest.raises(EndpointError) as caught:
        list(client.stream([{"role": "user", "content": "Hello"}]))
    assert words in str(caught.value)
    assert "secret-key" not in "".join(traceback.format_exception(caught.value))


def test_a_stream_that_cannot_be_read_is_an_error_in_words(scripted, endpoint_of):
    """An error of the HTTP library's own, in the middle of an answer."""
    scripted.script = lambda _: Raw(b"x", "text/event-stream", 200, (("Content-Encoding", "gzip"),))
    client = StreamingClient(endpoint_of(scripted), Sampling(), 5.0)
    with pytest.raises(EndpointError, match="does not answer"):
        list(client.stream([{"role": "user", "content": "Hello"}]))


def test_a_refusal_is_shown_where_an_answer_is_streamed(scripted, endpoint_of):
    piece = 'data: {"choices": [{"index": 0, "delta": {"refusal": "I will not."}}]}\n\n'
    scripted.script = lambda _: Raw(piece.encode(), "text/event-stream")
    client = StreamingClient(endpoint_of(scripted), Sampling(), 5.0)
    assert list(client.stream([{"role": "user", "content": "Hello"}])) == ["I will not."]
