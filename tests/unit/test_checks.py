"""Checks and questions of the notebooks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vobiz_kit.checks import check, choose


def test_right_and_not_yet_say_why() -> None:
    right = check(2 > 1, right="Two is more.", wrong="Count again.")
    assert right
    assert repr(right) == "✓ Two is more."
    wrong = check(2 < 1, right="Two is more.", wrong="Count again.")
    assert not wrong
    assert repr(wrong) == "Not yet. Count again."
    assert repr(check(False, wrong="Not yet: look up.")) == "Not yet: look up."
    assert 'role="status"' in wrong._repr_html_()
    assert "Not yet. Count again." in wrong._repr_html_()


def test_an_untouched_exercise_is_not_solved() -> None:
    assert not check(...)
    assert not check(None)
    assert not check(lambda: ...)


def test_an_error_in_the_exercise_is_a_hint_and_no_traceback() -> None:
    directory: dict[str, str] = {}
    result = check(lambda: directory["billing"], wrong="Fill in the directory.")
    assert not result
    assert repr(result) == "Not yet. Fill in the directory. (KeyError: 'billing')"


def test_html_is_escaped() -> None:
    assert "<script>" not in check(True, right="<script>")._repr_html_()


QUESTION = ("No agent runs. What happens?", ["Refused", "It rings", "Silence"])


def test_a_question_in_code() -> None:
    question = choose(*QUESTION, answer="It rings", why="LiveKit waits for an agent.")
    assert question.result is None
    assert "( ) It rings" in repr(question)
    wrong = question.choose("Silence")
    assert not wrong
    assert "It rings" not in repr(wrong)  # the answer is not given away
    right = question.choose("It rings")
    assert right
    assert "LiveKit waits for an agent." in repr(right)
    assert (question.chosen, question.result) == ("It rings", right)
    with pytest.raises(ValueError, match="none of: Refused, It rings, Silence"):
        question.choose("It sings")


def test_a_click_and_the_code_are_the_same() -> None:
    question = choose(*QUESTION, answer="It rings", why="LiveKit waits for an agent.")
    _, buttons, feedback = question.widget().children
    assert buttons.value is None
    assert feedback.value == ""
    buttons.set_state({"index": 0})  # what a browser sends
    assert question.chosen == "Refused"
    assert "Not yet" in feedback.value
    assert question.choose("It rings")
    assert buttons.value == "It rings"
    assert "LiveKit waits for an agent." in feedback.value
    assert question.widget() is question.widget()


def test_it_displays_as_widget_and_as_text() -> None:
    question = choose(*QUESTION, answer="It rings", why="because")
    question.choose("It rings")
    bundle = question._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == repr(question)
    assert "✓ It rings. because" in bundle["text/plain"]


def test_a_question_must_have_its_answer() -> None:
    with pytest.raises(ValueError, match="none of the options"):
        choose("?", ["a", "b"], answer="c", why="")
    with pytest.raises(ValueError, match="two options"):
        choose("?", ["a"], answer="a", why="")
    with pytest.raises(ValueError, match="no option twice"):
        choose("?", ["a", "a"], answer="a", why="")


def test_no_widgets_are_loaded_before_one_is_shown() -> None:
    code = (
        "import sys, vobiz_kit as vk; q = vk.choose('?', ['a', 'b'], answer='a', why='w');"
        "q.choose('a'); vk.check(True); assert 'ipywidgets' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
