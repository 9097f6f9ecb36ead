"""Checks and questions for exercises: one friendly line, right or not yet, never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from vobiz_kit.tables import Mark

if TYPE_CHECKING:
    import ipywidgets

NOT_YET = "Not yet"


@dataclass(frozen=True, repr=False)
class CheckResult:
    """What a check found; as a cell's last line it shows itself, and it is true or false.

    Attributes:
        ok: Whether it is right.
        why: Why it is right, or what to look at next.
    """

    ok: bool
    why: str

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        if self.ok:
            return str(Mark("ok", self.why))
        return self.why if self.why.startswith(NOT_YET) else f"{NOT_YET}. {self.why}"

    def _repr_html_(self) -> str:
        mark = Mark("ok", self.why) if self.ok else Mark("warn", repr(self))
        return f'<p role="status">{mark._repr_html_()}</p>'


def check(
    condition: object | Callable[[], object],
    *,
    right: str = "That is right.",
    wrong: str = "Look at the exercise once more.",
) -> CheckResult:
    """Check an exercise.

    ``check(answer == 603, right="603 is Decline.", wrong="Look for the last response.")``

    Args:
        condition: True (or anything true) if the exercise is solved. A function is called, and
            an error in it counts as not solved. ``...`` is what an untouched exercise holds.
        right: Why it is right.
        wrong: What to look at; not the answer.
    """
    if callable(condition):
        try:
            condition = condition()
        except Exception as error:  # noqa: BLE001 - a learner's code may raise anything
            hint = f"{wrong} ({type(error).__name__}: {error})"
            return CheckResult(False, hint)
    solved = not isinstance(condition, EllipsisType) and bool(condition)
    return CheckResult(solved, right if solved else wrong)


class Choice:
    """A question with one right answer, made by `choose`.

    In a notebook it is a list of radio buttons with the feedback below; in code the same is
    ``choice.choose("It rings")``.

    Attributes:
        question: What is asked.
        options: What can be chosen.
        result: What the last choice was worth, None before the first.
    """

    def __init__(self, question: str, options: Sequence[str], *, answer: str, why: str) -> None:
        if len(set(options)) != len(options) or len(options) < 2:
            raise ValueError("a question needs two options at least, and no option twice")
        if answer not in options:
            raise ValueError(f"the answer {answer!r} is none of the options")
        self.question = question
        self.options = tuple(options)
        self.result: CheckResult | None = None
        self._answer = answer
        self._why = why
        self._view: tuple[ipywidgets.RadioButtons, ipywidgets.HTML, ipywidgets.VBox] | None = None

    @property
    def chosen(self) -> str | None:
        """The option that was chosen last."""
        return self._chosen

    _chosen: str | None = None

    def choose(self, option: str) -> CheckResult:
        """Choose an option, as a click on it does.

        Raises:
            ValueError: there is no such option.
        """
        if option not in self.options:
            raise ValueError(f"{option!r} is none of: {', '.join(self.options)}")
        self._chosen = option
        if option == self._answer:
            self.result = CheckResult(True, f"{option}. {self._why}")
        else:
            self.result = CheckResult(False, f"{NOT_YET}: it is not “{option}”. Think again.")
        if self._view is not None:
            buttons, feedback, _ = self._view
            buttons.value = option
            feedback.value = self.result._repr_html_()
        return self.result

    def widget(self) -> ipywidgets.VBox:
        """The radio buttons and the feedback, as an ipywidgets box; always the same one."""
        import ipywidgets

        if self._view is None:
            question = ipywidgets.HTML(f"<p>{escape(self.question)}</p>")
            buttons = ipywidgets.RadioButtons(
                options=self.options, value=self._chosen, layout={"width": "max-content"}
            )
            feedback = ipywidgets.HTML(self.result._repr_html_() if self.result else "")
            box = ipywidgets.VBox([question, buttons, feedback])
            self._view = buttons, feedback, box
            buttons.observe(self._clicked, names="value")
        return self._view[2]

    def _clicked(self, change: Any) -> None:
        if change["new"] is not None and change["new"] != self._chosen:
            self.choose(change["new"])

    def __repr__(self) -> str:
        lines = [self.question, *(f"  ( ) {option}" for option in self.options)]
        return "\n".join(lines if self.result is None else [*lines, repr(self.result)])

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        bundle = self.widget()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**data, "text/plain": repr(self)}


def choose(question: str, options: Sequence[str], *, answer: str, why: str) -> Choice:
    """Ask a question with one right answer.

    Args:
        question: What is asked.
        options: What can be chosen, two at least.
        answer: The right one of them.
        why: Why it is right; shown when it is chosen.

    Raises:
        ValueError: the answer is none of the options, or there are fewer than two.
    """
    return Choice(question, options, answer=answer, why=why)
