"""The lab's keyword model: what it answers to what callers say, from schemas and instructions."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vobiz_kit.lab.speech.keyword_model import Reply, reply
from vobiz_kit.lab.speech.tool_schema import Purpose, listed_options, read_tools
from vobiz_kit.meanings import MEANINGS

PEOPLE = ["billing", "sales", "support"]
E164 = "a phone number with + and country code, like +15550002222"


def tool(
    name: str, description: str = "", required: bool = True, **properties: Any
) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(properties)
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


ENUM = tool(
    "transfer_call",
    "Transfer the caller.",
    destination={"type": "string", "enum": PEOPLE, "description": "Who to reach."},
)
ALIAS_OR_NUMBER = tool(
    "transfer_call",
    "Transfer the caller to a person or a department, and leave the call.",
    destination={
        "description": f"One of: billing, sales, support; or {E164}.",
        "anyOf": [{"type": "string", "enum": PEOPLE}, {"type": "string", "description": E164}],
    },
)
NUMBER = tool(
    "cold_transfer",
    "Transfer the caller to a phone number, and leave the call.",
    target_phone={"type": "string", "description": "The number with + and country code."},
)
LISTED = tool(
    "connect_to",
    "Connects the caller.",
    who={"type": "string", "description": "The department, one of sales, billing or tech support."},
)
FREE = tool("forward_call", "Forward it.", to={"type": "string", "description": "Whom to reach."})
END = tool("end_call", "Ends the call. Use it when the caller says goodbye.")
WEATHER = tool(
    "get_weather", "Look up the weather.", city={"type": "string", "description": "The city"}
)
GREETING = "Hello, thanks for calling Bluebird Bikes. How can I help you?"
NOT_KNOWN = "I did not understand that, sorry. What can I do for you?"
BIKES = """You are the telephone receptionist of Bluebird Bikes.
Be brief and friendly.
We sell and repair bicycles.
Our shop is in Harbour Street.
We are open Monday to Friday, nine to five."""


def say(
    text: str,
    *tools: dict[str, Any],
    instructions: str = "You are a friendly receptionist on the telephone.",
    before: str = "Hello, how can I help you?",
    **kwargs: Any,
) -> Reply:
    messages = [
        {"role": "system", "content": instructions},
        {"role": "assistant", "content": before},
        {"role": "user", "content": text},
    ]
    return reply(messages, tools, **kwargs)


def called(answer: Reply) -> tuple[str, dict[str, Any]] | None:
    return (answer.call.name, dict(answer.call.arguments)) if answer.call else None


# ------------------------------------------------------------------------------ transfers


@pytest.mark.parametrize("schema", [ENUM, ALIAS_OR_NUMBER], ids=["enum", "alias or number"])
@pytest.mark.parametrize(
    ("said", "who"),
    [
        ("Please transfer me to billing.", "billing"),
        ("Can I talk to sales?", "sales"),
        ("Put me through to the billing department.", "billing"),
        ("Could you connect me with someone in technical support?", "support"),
        ("Hi, could I speak with the sales team?", "sales"),
        ("I'd like to speak to support, please.", "support"),
        ("Let me talk to a human in support.", "support"),
        ("billing", "billing"),
        ("Sales, please.", "sales"),
        ("Uh, the support team please", "support"),
        ("Not sales, I want billing", "billing"),
        ("Is billing there?", "billing"),
        # What Whisper wrote for these sentences after 8 kHz µ-law (measured):
        ("Please transfer me to Bill N.", "billing"),
        ("please transfer me to bill in", "billing"),
        ("Can I talk the sales?", "sales"),
        ("I would like to speak the support, please.", "support"),
        ("Transfer me to the building department.", "billing"),
        ("Please transfer me to billings", "billing"),
    ],
)
def test_a_caller_who_asks_for_somebody_is_transferred(
    schema: dict[str, Any], said: str, who: str
) -> None:
    assert called(say(said, schema)) == ("transfer_call", {"destination": who})


@pytest.mark.parametrize(
    "said",
    [
        "This is about my bicycle.",
        "When are you open?",
        "Please don't transfer me to billing.",
        "I do not want to talk to sales",
        "Thank you very much.",
        "My number is four one five, two six seven, one nine eight four.",
        "Call me back at +1 555 000 2222.",
        "",
    ],
)
def test_nobody_is_transferred_who_did_not_ask(said: str) -> None:
    assert say(said, ALIAS_OR_NUMBER, NUMBER).call is None


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("Transfer me to plus one five five five zero zero zero one one one one.", "+15550001111"),
        ("Transfer me to +1 (555) 000-2222, please", "+15550002222"),
        ("to plus four four, two zero, seven nine four six, zero nine five eight", "+442079460958"),
        ("call one five five five double zero zero three three three three", "+15550003333"),
        ("plus one five five five zero zero zero one one one one", "+15550001111"),
        ("Put me through to five five five, zero one two, three four five six.", "5550123456"),
    ],
)  # fmt: skip
def test_a_number_goes_to_the_parameter_that_takes_numbers(said: str, number: str) -> None:
    assert called(say(said, NUMBER)) == ("cold_transfer", {"target_phone": number})
    assert called(say(said, ALIAS_OR_NUMBER)) == ("transfer_call", {"destination": number})
    assert say(said, ENUM).call is None  # an enum has no room for it


def test_options_are_read_from_a_description() -> None:
    answer = say("Could you connect me with technical support?", LISTED)
    assert called(answer) == ("connect_to", {"who": "tech support"})


def test_options_are_read_from_the_instructions_when_the_schema_has_none() -> None:
    answer = say(
        "Sales, please.", FREE, instructions="You can transfer callers to sales or billing."
    )
    assert called(answer) == ("forward_call", {"to": "sales"})


def test_a_free_parameter_takes_what_was_named() -> None:
    assert called(say("Please put me through to accounting.", FREE)) == (
        "forward_call",
        {"to": "accounting"},
    )


def test_who_is_not_on_the_list_is_not_invented() -> None:
    answer = say("Connect me to accounting.", ALIAS_OR_NUMBER)
    assert answer.call is None
    assert answer.content == "Who would you like to speak to: billing, sales or support?"


@pytest.mark.parametrize("reply_word", ["Billing.", "billing please", "to billing", "Uh, Billings"])
def test_a_destination_alone_answers_the_question(reply_word: str) -> None:
    question = say("Can you transfer me?", ENUM).content
    assert question == "Who would you like to speak to: billing, sales or support?"
    answer = say(reply_word, ENUM, before=question)
    assert called(answer) == ("transfer_call", {"destination": "billing"})


def test_two_destinations_are_asked_about() -> None:
    assert say("Transfer me to sales or billing.", ENUM).content == (
        "Which one would you like: sales or billing?"
    )


def test_a_mere_mention_is_offered_and_a_yes_accepts_the_offer() -> None:
    offer = say("I have a question about my bill", ENUM)
    assert offer.content == "Would you like me to connect you to billing?"
    assert called(say("Yes, please.", ENUM, before=offer.content)) == (
        "transfer_call",
        {"destination": "billing"},
    )
    assert say("No, thank you.", ENUM, before=offer.content).call is None
    assert say("Yes.", ENUM, before="Anything else?").call is None


def test_what_else_is_required_is_asked_for_and_what_may_be_null_is_null() -> None:
    destination = {"type": "string", "enum": PEOPLE}
    strict = tool("transfer_call", "", destination=destination, note={"type": ["string", "null"]})
    assert called(say("transfer me to sales", strict)) == (
        "transfer_call",
        {"destination": "sales", "note": None},
    )
    reason = {"type": "string", "enum": ["complaint", "order"]}
    asking = tool("transfer_call", "", destination=destination, reason=reason)
    assert say("transfer me to sales", asking).content == (
        "Which reason would you like: complaint or order?"
    )
    assert called(say("transfer me to sales, it's a complaint", asking)) == (
        "transfer_call",
        {"destination": "sales", "reason": "complaint"},
    )


# ------------------------------------------------------------------- failed and done transfers


def after_tool(result: str, schema: dict[str, Any] = ALIAS_OR_NUMBER, **arguments: str) -> Reply:
    function = {"name": schema["function"]["name"], "arguments": json.dumps(arguments)}
    calls = [{"id": "c1", "type": "function", "function": function}]
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a receptionist."},
        {"role": "user", "content": "Please transfer me."},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": result},
    ]
    return reply(messages, [schema])


def test_a_busy_destination_is_told_and_the_others_are_offered() -> None:
    told = MEANINGS["busy"].told.format(who="billing (+15550002222)")
    answer = after_tool(told, destination="billing")
    assert answer.call is None
    assert "billing" in answer.content
    assert "busy" in answer.content
    assert answer.content.endswith("Shall I connect you to sales or support instead?")
    assert "tell them" not in answer.content
    assert "1555" not in answer.content


@pytest.mark.parametrize("result", ["failed: busy (486)", '{"status": "failed", "reason": "busy"}'])
def test_a_terse_failure_becomes_a_sentence(result: str) -> None:
    assert after_tool(result, destination="billing").content == (
        "I could not connect you to billing: busy. Shall I connect you to sales or support instead?"
    )


def test_every_outcome_of_the_kit_can_be_told() -> None:
    for name, meaning in MEANINGS.items():
        if meaning.told:
            content = after_tool(meaning.told.format(who="billing"), destination="billing").content
            assert content, name
            assert "caller" not in content, name
            if meaning.retry == "wait":
                assert "instead" not in content, name


def test_a_question_in_the_result_is_asked_as_it_stands() -> None:
    told = "I can connect you to billing or sales. Whom would you like? (There is no 'x'.)"
    assert after_tool(told, destination="x").content == (
        "I can connect you to billing or sales. Whom would you like?"
    )


@pytest.mark.parametrize("result", ["Transfer completed.", "", '{"status": "completed"}', "ok"])
def test_a_transfer_that_succeeded_leaves_nothing_to_say(result: str) -> None:
    assert after_tool(result, destination="billing") == Reply()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("It is sunny, 22 degrees.", "It is sunny, 22 degrees."),
        ('{"temperature": 22, "sky": "clear"}', "Temperature is 22, sky is clear."),
        ("ValueError: no such city", "No such city."),
        ("22", "The result is 22."),
        ("done", "That is done."),
        ('{"ok": true}', "That is done."),
        ('["red", "blue"]', "The result is red, blue."),
    ],
)
def test_other_results_are_said(result: str, said: str) -> None:
    assert after_tool(result, WEATHER, city="Oslo").content == said


def test_a_call_that_ended_needs_no_words() -> None:
    assert after_tool("ok", END) == Reply()


# ------------------------------------------------------------------------------ other tools


@pytest.mark.parametrize(
    "said", ["Goodbye.", "That's all, thank you.", "I want to hang up now, bye."]
)
def test_who_wants_to_end_the_call_gets_the_tool_that_ends_it(said: str) -> None:
    assert called(say(said, ENUM, END)) == ("end_call", {})
    assert say(said, ENUM).content == "Thank you for calling. Goodbye!"


def test_any_tool_is_found_by_the_words_of_its_name() -> None:
    assert called(say("What's the weather in New York?", WEATHER)) == (
        "get_weather",
        {"city": "New York"},
    )
    assert say("Tell me the weather", WEATHER).content == "Could you tell me the city?"


def test_tool_choice_is_honoured() -> None:
    assert say("Transfer me to sales", ENUM, tool_choice="none").call is None
    assert called(say("Hello", ENUM, END, tool_choice="required")) == (
        "transfer_call",
        {"destination": "billing"},
    )
    named = {"type": "function", "function": {"name": "end_call"}}
    assert called(say("Transfer me to sales", ENUM, END, tool_choice=named)) == ("end_call", {})
    assert called(say("to sales", END, ENUM, tool_choice="required")) == (
        "transfer_call",
        {"destination": "sales"},
    )


# ------------------------------------------------------------------------------ conversation


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("When are you open?", "We are open Monday to Friday, nine to five."),
        ("What are your opening hours?", "We are open Monday to Friday, nine to five."),
        ("What do you sell?", "We sell and repair bicycles."),
        ("Where are you?", "Our shop is in Harbour Street."),
        ("Do you repair bicycles?", "We sell and repair bicycles."),
    ],
)
def test_a_question_is_answered_by_a_sentence_of_the_instructions(
    question: str, sentence: str
) -> None:
    assert say(question, instructions=BIKES).content == sentence
    assert say(question, ENUM, instructions=BIKES).content == sentence


def test_orders_to_the_model_are_not_read_out() -> None:
    told = (
        "Transfer callers who ask for repairs. If they ask for parking, say that parking is free."
    )
    assert say("Do you do repairs?", instructions=told).content == NOT_KNOWN
    assert say("Where is parking?", instructions=told).content == "Parking is free."


def test_what_it_does_not_know_it_says_and_names_what_it_can_do() -> None:
    assert say("Tell me a joke.", ENUM).content == (
        "I did not understand that, sorry. I can connect you to billing, sales or support."
    )
    assert say("Tell me a joke.", WEATHER).content == (
        "I did not understand that, sorry. I can do this for you: get weather."
    )


@pytest.mark.parametrize(
    ("said", "content"),
    [
        ("Hello?", "Hello, how can I help you?"),
        ("Thank you very much.", "You are welcome. Is there anything else I can do for you?"),
        ("Is anybody there?", "Yes, I can hear you. How can I help you?"),
        ("Who are you?", "This is the receptionist of Bluebird Bikes."),
        ("Could you repeat that?", "Hello, how can I help you?"),
        ("Stop, wait a moment.", "Of course, take your time."),
        ("Can you help me?", "Of course. What can I do for you?"),
        ("Sorry?", "Hello, how can I help you?"),
        ("I'd like to know when your shop is made of cheese", NOT_KNOWN),
    ],
)
def test_small_talk(said: str, content: str) -> None:
    assert say(said, instructions=BIKES).content == content


@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize(
    ("instruction", "content"),
    [
        ('Say "One moment, please." to the caller.', "One moment, please."),
        ("Greet the caller and offer help", GREETING),
        ("Tell the caller that billing is busy.", "Billing is busy."),
        ("Ask the caller for their order number", "Could you tell me your order number?"),
        ("Inform the user you are connecting them to sales", "I am connecting you to sales."),
        ("Apologize for the delay.", "I am sorry for the delay."),
        ("Say goodbye", "Thank you for calling. Goodbye!"),
    ],
)
def test_an_instruction_for_this_turn_is_followed(
    role: Literal["system", "developer"], instruction: str, content: str
) -> None:
    # livekit-agents 1.8.9 appends what generate_reply(instructions=...) is given.
    messages = [{"role": "system", "content": BIKES}, {"role": role, "content": instruction}]
    assert reply(messages).content == content


def test_an_agent_that_speaks_first_greets() -> None:
    assert reply([{"role": "system", "content": BIKES}]).content == GREETING
    kelly = reply([{"role": "system", "content": "You are Kelly, a helpful assistant."}])
    assert kelly.content == "Hello, this is Kelly. How can I help you?"


def test_a_caller_who_pauses_is_read_as_one() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Please transfer me"},
        {"role": "user", "content": [{"type": "text", "text": "to billing"}]},
    ]
    assert called(reply(messages, [ENUM])) == ("transfer_call", {"destination": "billing"})


# ------------------------------------------------------------------------------ schemas


def test_schemas_of_livekit_are_read_strict_or_not() -> None:
    referred = tool("transfer_call", "", destination={"$ref": "#/$defs/Who"})
    referred["function"]["parameters"]["$defs"] = {"Who": {"type": "string", "enum": PEOPLE}}
    (parameter,) = read_tools([referred])[0].parameters
    assert parameter.options == ("billing", "sales", "support")
    assert parameter.closed
    optional = tool("x", "", n={"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None})
    (parameter,) = read_tools([optional])[0].parameters
    assert parameter.types == ("integer",)
    assert parameter.nullable


def test_a_schema_that_refers_to_itself_ends() -> None:
    endless = tool("x", "", a={"$ref": "#/properties/a"})
    assert read_tools([endless])[0].parameters[0].options == ()


@pytest.mark.parametrize(
    ("name", "description", "purpose"),
    [
        ("transfer_call", "", Purpose.TRANSFER),
        ("transferCall", "", Purpose.TRANSFER),
        ("escalate", "", Purpose.TRANSFER),
        ("human", "Connects the caller with a person.", Purpose.TRANSFER),
        ("end_call", "Ends the call; do not use it to transfer.", Purpose.END_CALL),
        ("hang_up", "", Purpose.END_CALL),
        ("book_table", "Books a table.", Purpose.OTHER),
    ],
)
def test_what_a_tool_is_for(name: str, description: str, purpose: Purpose) -> None:
    assert read_tools([tool(name, description)])[0].purpose is purpose


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("Who to reach: billing, sales or support.", ("billing", "sales", "support")),
        ("An alias, e.g. 'billing' or \"tech support\"", ("billing", "tech support")),
        ("A person or a department.", ()),
        (E164, ()),
    ],
)
def test_options_in_descriptions(text: str, options: tuple[str, ...]) -> None:
    assert listed_options(text) == options


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=120), result=st.text(max_size=120))
def test_it_answers_anything_without_an_error(text: str, result: str) -> None:
    tools = [ALIAS_OR_NUMBER, NUMBER, END, WEATHER]
    first = say(text, *tools, instructions=text)
    assert first == say(text, *tools, instructions=text)  # and always the same
    assert first.call is None or not first.content
    assert isinstance(after_tool(result, destination=text).content, str)
    assert isinstance(reply([{"role": "system", "content": text}]).content, str)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["string", "null", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "enum", "const", "anyOf", "$ref", "description", "default", "properties"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(schema=_JSON)
def test_no_schema_is_too_odd_to_be_read(schema: Any) -> None:
    odd = tool("transfer_call", "", destination=schema)
    for choice in ("auto", "required"):
        answer = say("Transfer me to a.", odd, tool_choice=choice)
        assert answer.content or answer.call


ACCEPT = tool("accept_call", "Put the caller through: this person takes the call.")
DECLINE = tool("decline_call", "Do not put the caller through.")
ASKED = "I have a caller on hold for you. Will you take the call?"


@pytest.mark.parametrize(
    "said",
    [
        "Yes.",
        "Sure, put them through.",
        "Okay, I'll take it.",
        "Yes please, go ahead.",
        "I can take the call now.",
        "Oh hello there, well, you can connect me to them.",
    ],
)
def test_who_is_asked_to_take_a_call_and_agrees_gets_the_tool_that_accepts(said: str) -> None:
    assert called(say(said, ACCEPT, DECLINE, before=ASKED)) == ("accept_call", {})


@pytest.mark.parametrize(
    "said",
    [
        "No.",
        "No, not now, I am in the middle of something else here.",
        "Sorry, I can't take it.",
        "I am busy.",
        "Please don't put them through.",
        "Ask them to call back tomorrow.",
    ],
)
def test_who_is_asked_to_take_a_call_and_refuses_gets_the_tool_that_declines(said: str) -> None:
    assert called(say(said, ACCEPT, DECLINE, before=ASKED)) == ("decline_call", {})


def test_a_question_about_the_caller_is_neither_yes_nor_no() -> None:
    instructions = "You talk with a colleague.\nThe caller's number is +15550009999."
    answered = say(
        "What is the caller's number?", ACCEPT, DECLINE, instructions=instructions, before=ASKED
    )
    assert answered.call is None
    assert "+15550009999" in answered.content


def test_a_tool_that_declines_a_transfer_transfers_nobody() -> None:
    (declines,) = read_tools([tool("decline_transfer", "The person does not want to talk.")])
    assert declines.purpose is Purpose.DECLINE
    assert say("Transfer me to billing", ENUM, DECLINE).call is not None


def test_without_such_tools_yes_and_no_are_small_talk_as_before() -> None:
    assert say("No.", END).call is None
