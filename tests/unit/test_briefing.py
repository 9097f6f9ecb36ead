"""What a person is told who is asked to take a call."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.agents import llm

from vobiz_kit.briefing import QUESTION, BriefingAgent, conversation, opening


def talk(*lines: tuple[Any, str]) -> llm.ChatContext:
    context = llm.ChatContext.empty()
    for role, text in lines:
        context.add_message(role=role, content=text)
    return context


def test_the_caller_is_quoted_and_the_question_comes_last() -> None:
    said = opening("", ["My invoice is wrong", "Connect me to billing."])
    assert said.endswith(f"They said: My invoice is wrong. Connect me to billing. {QUESTION}")


def test_a_briefing_of_ones_own_stands_in_place_of_the_quote() -> None:
    said = opening("Mrs Weber asks about invoice 4711.", ["Hello", "Connect me to billing."])
    assert "Mrs Weber asks about invoice 4711." in said
    assert "They said" not in said


def test_a_caller_who_said_nothing_is_announced_all_the_same() -> None:
    said = opening("", [" ", ""])
    assert "a caller on hold" in said
    assert said.endswith(QUESTION)
    assert "They said" not in said


@given(st.lists(st.text(alphabet="ab .", max_size=300), max_size=8))
def test_nobody_has_to_listen_to_more_than_forty_words_of_the_caller(said: list[str]) -> None:
    assert len(opening("", said).split()) <= len(opening("", []).split()) + 3 + 40


def test_the_newest_of_a_long_talk_is_quoted() -> None:
    said = opening("", [f"Sentence number {n} about my bicycle." for n in range(30)])
    assert "number 29" in said
    assert "number 3 " not in said


def test_only_what_was_said_counts_as_conversation() -> None:
    lines = conversation(
        talk(("system", "Be friendly."), ("assistant", "Hello."), ("user", "A wheel, please."))
    )
    assert lines == [("Assistant", "Hello."), ("Caller", "A wheel, please.")]


async def test_the_agent_can_answer_who_calls_and_offers_a_yes_and_a_no() -> None:
    agent = BriefingAgent(
        talk(("user", "My wheel is broken.")), briefing="", caller_number="+15550009999"
    )
    assert "The caller's number is +15550009999." in str(agent.instructions)
    assert "Caller: My wheel is broken." in str(agent.instructions)
    assert sorted(tool.id for tool in agent.tools) == ["accept_call", "decline_call"]
    assert not agent.taken.done()


@pytest.mark.parametrize("briefing", ["", "About a wheel."])
async def test_without_a_number_none_is_told(briefing: str) -> None:
    agent = BriefingAgent(talk(), briefing=briefing)
    assert "number" not in str(agent.instructions)
    assert "(nothing was said yet)" in str(agent.instructions)
