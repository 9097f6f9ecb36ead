"""Settings: where they come from, what is refused, and that no secret shows."""

from __future__ import annotations

import copy
import json
import pickle
import re
import tempfile
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vobiz_kit import sources
from vobiz_kit.catalogue import BY_NAME, SETTINGS
from vobiz_kit.errors import SettingsError
from vobiz_kit.secret import Secret
from vobiz_kit.settings import Settings, default_prefix

CLOUD = {
    "LIVEKIT_URL": "wss://demo.livekit.cloud",
    "LIVEKIT_API_KEY": "APIkeyfortests1",
    "LIVEKIT_API_SECRET": "livekit-secret-0123456789-0123456789",
    "OPENAI_API_KEY": "sk-openai-0123456789-0123456789",
    "DEEPGRAM_API_KEY": "deepgram0123456789abcdef0123456789abcdef",
    "VOBIZ_SIP_DOMAIN": "1a2b3c4d.sip.vobiz.ai",
    "VOBIZ_USERNAME": "acme",
    "VOBIZ_PASSWORD": "correct horse!",
    "VOBIZ_OUTBOUND_NUMBER": "+15550001000",
    "VOBIZ_AUTH_ID": "MA_1234",
    "VOBIZ_AUTH_TOKEN": "vobiz-token-0123456789-0123456789",
    "BILLING_NUMBER": "+1 555 000 2222",
}
LAB = CLOUD | {
    "LIVEKIT_URL": "ws://127.0.0.1:7999",
    "LIVEKIT_API_KEY": "APIlab",
    "LIVEKIT_API_SECRET": "lab-secret-0123456789-0123456789-0123",
    "OPENAI_BASE_URL": "http://127.0.0.1:7998/v1",
    "VOBIZ_SIP_ADDRESS": "127.0.0.1:7997",
    "VOBIZ_API_URL": "http://127.0.0.1:7996/api/v1",
}
SECRETS = [CLOUD[s.name] for s in SETTINGS if s.secret]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env of this machine, no lab of this machine, nothing seen by an earlier test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "_lab_values_seen", {name: set() for name in sources._EXPORTED})


def write_env(path: Path, values: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()))
    return path


@pytest.fixture
def lab_environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which the lab called "mine" is there."""
    write_env(tmp_path / "cache" / "labs" / "mine" / "lab.env", LAB)
    return {"VOBIZ_KIT_CACHE": str(tmp_path / "cache"), "VOBIZ_KIT_LAB": "mine"}


class TestSources:
    def test_environment_alone_is_the_cloud(self) -> None:
        settings = Settings.load(environ=CLOUD)
        assert settings.backend == "cloud"
        assert settings.livekit_url == "wss://demo.livekit.cloud"
        assert settings.vobiz_password.reveal() == "correct horse!"
        assert settings.vobiz_sip_address == "1a2b3c4d.sip.vobiz.ai"  # the domain, if not set
        assert settings.vobiz_api_url == "https://api.vobiz.ai/api/v1"
        assert settings.numbers == {"billing": "+15550002222"}

    def test_argument_beats_environment_beats_env_file_beats_nothing(self, tmp_path: Path) -> None:
        env_file = write_env(
            tmp_path / "my.env", CLOUD | {"VOBIZ_USERNAME": "file", "SALES_NUMBER": "+15550001111"}
        )
        environ = {"VOBIZ_USERNAME": "environment", "VOBIZ_SIP_DOMAIN": "env.sip.vobiz.ai"}
        settings = Settings.load(env_file, environ, vobiz_username="argument")
        assert settings.vobiz_username == "argument"
        assert settings.vobiz_sip_domain == "env.sip.vobiz.ai"
        assert settings.livekit_api_key == CLOUD["LIVEKIT_API_KEY"]
        assert settings.numbers == {"billing": "+15550002222", "sales": "+15550001111"}
        came_from = dict(settings.sources)
        assert came_from["VOBIZ_USERNAME"] == "argument"
        assert came_from["VOBIZ_SIP_DOMAIN"] == "environment"
        assert came_from["SALES_NUMBER"] == ".env"

    def test_env_file_is_found_upwards_and_environment_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_env(tmp_path / ".env", CLOUD)
        (tmp_path / "notebooks").mkdir()
        monkeypatch.chdir(tmp_path / "notebooks")
        for name in BY_NAME:
            monkeypatch.delenv(name, raising=False)
        import os

        before = dict(os.environ)
        assert Settings.load().livekit_url == CLOUD["LIVEKIT_URL"]
        assert dict(os.environ) == before

    def test_named_env_file_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"nowhere\.env"):
            Settings.load(tmp_path / "nowhere.env", {})

    def test_env_file_is_taken_literally(self, tmp_path: Path) -> None:
        text = "\ufeff" + "".join(f"{k}={v}\n" for k, v in CLOUD.items() if k != "VOBIZ_PASSWORD")
        (tmp_path / ".env").write_text(text + "VOBIZ_PASSWORD='p#ss ${HOME} word'\n")
        settings = Settings.load(environ={"HOME": "/elsewhere"})
        assert settings.vobiz_password.reveal() == "p#ss ${HOME} word"

    def test_empty_values_set_nothing(self, lab_environ: dict[str, str], tmp_path: Path) -> None:
        write_env(tmp_path / ".env", dict.fromkeys(CLOUD, ""))
        environ = lab_environ | {"LIVEKIT_URL": " ", "VOBIZ_SIP_DOMAIN": ""}
        assert Settings.load(environ=environ).backend == "lab"


class TestLab:
    def test_with_nothing_set_it_is_the_lab(self, lab_environ: dict[str, str]) -> None:
        settings = Settings.load(environ=lab_environ)
        assert settings.backend == "lab"
        assert settings.livekit_url == "ws://127.0.0.1:7999"
        assert settings.vobiz_sip_address == "127.0.0.1:7997"
        assert dict(settings.sources)["LIVEKIT_URL"] == "lab"

    def test_directory_and_prefix_may_be_ones_own(self, lab_environ: dict[str, str]) -> None:
        own = {
            "VOBIZ_KIT_PREFIX": "amy",
            "BILLING_NUMBER": "+15550007777",
            "TECH_SUPPORT_NUMBER": "+15550008888",
        }
        settings = Settings.load(environ=lab_environ | own)
        assert settings.backend == "lab"
        assert settings.prefix == "amy"
        assert settings.numbers == {"billing": "+15550007777", "tech support": "+15550008888"}

    def test_ones_own_keys_never_go_to_the_lab(self, lab_environ: dict[str, str]) -> None:
        settings = Settings.load(
            environ=lab_environ | {"OPENAI_API_KEY": "sk-my-own-dear-key-123456"}
        )
        assert settings.openai_api_key.reveal() == LAB["OPENAI_API_KEY"]
        assert "OPENAI_API_KEY (environment)" in str(settings)

    @pytest.mark.parametrize("name", sources.DECIDING)
    def test_one_deciding_setting_makes_it_the_cloud(
        self, lab_environ: dict[str, str], name: str
    ) -> None:
        with pytest.raises(SettingsError) as caught:
            Settings.load(environ=lab_environ | {name: CLOUD[name]})
        for other in CLOUD:  # nothing is filled in from the lab
            core = other in BY_NAME and BY_NAME[other].core
            assert (f"{other}: " in str(caught.value)) == (core and other != name)

    def test_no_lab_says_how_to_start_it(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as caught:
            Settings.load(environ={"VOBIZ_KIT_CACHE": str(tmp_path)})
        assert "make lab" in str(caught.value)
        assert "await lab.up()" in str(caught.value)

    def test_what_a_worker_exported_does_not_make_it_the_cloud(
        self, lab_environ: dict[str, str]
    ) -> None:
        first = Settings.load(environ=lab_environ)
        exported = lab_environ | {
            "LIVEKIT_URL": first.livekit_url,
            "LIVEKIT_API_KEY": first.livekit_api_key,
            "LIVEKIT_API_SECRET": first.livekit_api_secret.reveal(),
        }
        assert Settings.load(environ=exported) == first

    def test_nor_does_what_an_earlier_lab_left_behind(
        self, lab_environ: dict[str, str], tmp_path: Path
    ) -> None:
        old = Settings.load(environ=lab_environ)
        exported = {name: LAB[name] for name in sources._EXPORTED}
        again = LAB | {"LIVEKIT_URL": "ws://127.0.0.1:6000", "LIVEKIT_API_KEY": "APIanother"}
        write_env(tmp_path / "cache" / "labs" / "mine" / "lab.env", again)
        new = Settings.load(environ=lab_environ | exported)
        assert (old.backend, new.backend) == ("lab", "lab")
        assert new.livekit_url == "ws://127.0.0.1:6000"
        (tmp_path / "cache" / "labs" / "mine" / "lab.env").unlink()
        with pytest.raises(SettingsError, match="no lab is running"):
            Settings.load(environ=lab_environ | exported)

    def test_a_new_env_file_beats_what_a_worker_of_the_lab_exported(
        self, lab_environ: dict[str, str], tmp_path: Path
    ) -> None:
        Settings.load(environ=lab_environ)
        write_env(tmp_path / ".env", CLOUD)
        exported = lab_environ | {name: LAB[name] for name in sources._EXPORTED}
        settings = Settings.load(environ=exported)
        assert settings.backend == "cloud"
        assert settings.livekit_url == CLOUD["LIVEKIT_URL"]
        assert settings.livekit_api_secret.reveal() == CLOUD["LIVEKIT_API_SECRET"]

    def test_full_cloud_style_settings_may_point_at_a_lab(
        self, lab_environ: dict[str, str]
    ) -> None:
        settings = Settings.load(environ=lab_environ | LAB)
        assert settings.backend == "cloud"
        assert settings.livekit_url == LAB["LIVEKIT_URL"]

    def test_a_mixture_of_environment_and_env_file_that_points_at_a_lab(
        self, lab_environ: dict[str, str], tmp_path: Path
    ) -> None:
        exported = {name: LAB[name] for name in sources._EXPORTED}
        write_env(tmp_path / ".env", {k: v for k, v in LAB.items() if k not in exported})
        settings = Settings.load(environ=lab_environ | exported)
        assert settings.backend == "cloud"
        assert settings.livekit_url == LAB["LIVEKIT_URL"]


class TestMissing:
    @pytest.mark.parametrize("name", [s.name for s in SETTINGS if s.core])
    def test_each_is_named_with_purpose_place_and_the_lab(self, name: str) -> None:
        with pytest.raises(SettingsError) as caught:
            Settings.load(environ={k: v for k, v in CLOUD.items() if k != name})
        text = str(caught.value)
        assert text.startswith("A setting is missing.")
        for part in (name, BY_NAME[name].purpose, BY_NAME[name].where, ".env.example", "make lab"):
            assert part in text

    def test_several_are_named_at_once(self) -> None:
        with pytest.raises(SettingsError) as caught:
            Settings.load(environ={"LIVEKIT_URL": CLOUD["LIVEKIT_URL"]})
        assert str(caught.value).startswith("8 settings are missing.")
        assert "leave LIVEKIT_URL out" in str(caught.value)

    def test_a_misspelt_name_is_pointed_out(self, tmp_path: Path) -> None:
        wrong = CLOUD | {"VOBIZ_SIP_DOMIAN": "x.sip.vobiz.ai"}
        del wrong["VOBIZ_SIP_DOMAIN"]
        write_env(tmp_path / ".env", wrong)
        with pytest.raises(SettingsError, match="VOBIZ_SIP_DOMIAN: misspelt"):
            Settings.load(environ={})

    def test_a_trunk_made_elsewhere_brings_its_own_credentials(self) -> None:
        environ = {k: v for k, v in CLOUD.items() if k not in ("VOBIZ_USERNAME", "VOBIZ_PASSWORD")}
        settings = Settings.load(environ=environ | {"OUTBOUND_TRUNK_ID": "ST_abc123"})
        assert settings.outbound_trunk_id == "ST_abc123"

    def test_require(self) -> None:
        settings = Settings.load(environ={"LIVEKIT_URL": CLOUD["LIVEKIT_URL"]}, required=())
        settings.require("LIVEKIT_URL", "livekit_url")
        with pytest.raises(SettingsError, match="VOBIZ_AUTH_TOKEN"):
            settings.require("LIVEKIT_URL", "VOBIZ_AUTH_TOKEN")

    def test_an_argument_that_is_no_setting(self) -> None:
        with pytest.raises(SettingsError, match="Did you mean 'vobiz_password'"):
            Settings.load(environ=CLOUD, vobiz_pasword="x")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("LIVEKIT_URL", "demo.livekit.cloud", "starts with wss"),
        ("LIVEKIT_URL", "ws://demo.livekit.cloud", "not ws://"),
        ("LIVEKIT_URL", "http://demo.livekit.cloud", "not ws://"),
        ("LIVEKIT_URL", "https://cloud.livekit.io/projects/p_1", "console's address"),
        ("LIVEKIT_URL", "wss://", "starts with wss"),
        ("LIVEKIT_URL", "wss://user:pw@demo.livekit.cloud", "user name"),
        ("LIVEKIT_URL", "wss://demo.livekit.cloud:port", "port"),
        ("OPENAI_BASE_URL", "ftp://x/v1", "starts with https"),
        ("VOBIZ_API_URL", "api.vobiz.ai/api/v1", "starts with https"),
        ("VOBIZ_SIP_DOMAIN", "sip:1a2b3c4d.sip.vobiz.ai", "SIP URI"),
        ("VOBIZ_SIP_DOMAIN", "1a2b3c4d.sip.vobiz.ai:5060", "VOBIZ_SIP_ADDRESS"),
        ("VOBIZ_SIP_DOMAIN", "1a2b3c4d.sip.vobiz.ai;transport=tcp", "parameters"),
        ("VOBIZ_SIP_DOMAIN", "https://1a2b3c4d.sip.vobiz.ai", "URL"),
        ("VOBIZ_SIP_DOMAIN", "sip.vobiz.ai", "general name"),
        ("VOBIZ_SIP_ADDRESS", "sip.vobiz.ai:5060", "general name"),
        ("VOBIZ_SIP_ADDRESS", "127.0.0.1:0", "port"),
        ("VOBIZ_SIP_ADDRESS", "a..b", "host name"),
        ("VOBIZ_USERNAME", "acme@1a2b3c4d.sip.vobiz.ai", "only the user name"),
        ("VOBIZ_PASSWORD", "pass\x00word", "control character"),
        ("VOBIZ_OUTBOUND_NUMBER", "5550001000", "no country code"),
        ("BILLING_NUMBER", "+1555", "too short"),
        ("OUTBOUND_TRUNK_ID", "08c9431-fc2b-4a9e", "ST_"),
        ("VOBIZ_KIT_PREFIX", "Amy!", "lower-case"),
        ("LIVEKIT_API_KEY", "API key", "space"),
        ("VOBIZ_AUTH_TOKEN", "MA_1234", "swapped"),
        ("DEEPGRAM_API_KEY", "sk-openai-0123456789", "OpenAI key"),
    ],
)
def test_wrong_values_are_refused_at_the_edge(name: str, value: str, reason: str) -> None:
    others = {k: v for k, v in CLOUD.items() if k != name}
    with pytest.raises(SettingsError) as caught:
        Settings.load(None, others, **{name.lower(): value})
    assert name in str(caught.value)
    assert reason in str(caught.value)


def test_key_and_secret_swapped() -> None:
    swapped = CLOUD | {
        "LIVEKIT_API_KEY": CLOUD["LIVEKIT_API_SECRET"],
        "LIVEKIT_API_SECRET": CLOUD["LIVEKIT_API_KEY"],
    }
    with pytest.raises(SettingsError, match="look swapped") as caught:
        Settings.load(environ=swapped)
    assert CLOUD["LIVEKIT_API_SECRET"] not in str(caught.value)


def test_all_wrong_values_are_named_at_once_and_no_secret_is_shown() -> None:
    wrong = CLOUD | {"LIVEKIT_URL": "nowhere", "VOBIZ_PASSWORD": "secret\x07word"}
    with pytest.raises(SettingsError) as caught:
        Settings.load(environ=wrong)
    assert "LIVEKIT_URL = 'nowhere' (environment)" in str(caught.value)
    assert "VOBIZ_PASSWORD (environment)" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_environment_variables_that_only_look_like_the_directory() -> None:
    settings = Settings.load(
        environ=CLOUD | {"BUILD_NUMBER": "4711", "SALES_NUMBER": "+15550001111"}
    )
    assert sorted(settings.numbers) == ["billing", "sales"]
    assert "BUILD_NUMBER" in str(settings)
    with pytest.raises(SettingsError, match="SALES_NUMBER"):
        Settings.load(environ=CLOUD | {"SALES_NUMBER": "+1555"})


class TestRedaction:
    def test_no_secret_shows_anywhere(self) -> None:
        settings = Settings.load(environ=CLOUD)
        shown = [
            repr(settings),
            str(settings),
            settings._repr_html_(),
            f"{settings}",
            f"{settings!r}",
        ]
        shown += [f"{asdict(settings)}", f"{vars(settings)}"]
        for text in shown:
            for secret in SECRETS:
                assert secret not in text
                assert secret[-5:] not in text
        assert "sk-…6789" in shown[0]
        assert "correct" not in shown[0]

    def test_html_names_value_and_source(self) -> None:
        html = Settings.load(environ=CLOUD)._repr_html_()
        assert re.search(r'<th scope="row"[^>]*>LIVEKIT_URL</th>.*wss://demo.*environment', html)
        assert re.search(r'<th scope="row"[^>]*>BILLING_NUMBER</th>', html)

    @given(st.text(min_size=1))
    def test_a_secret_shows_at_most_its_last_four_characters(self, value: str) -> None:
        secret = Secret(value)
        assert str(secret) in ("…", f"…{value[-4:]}", f"sk-…{value[-4:]}")
        assert repr(secret) == f"Secret({str(secret)!r})"
        assert f"{secret:>3}" == format(str(secret), ">3")
        assert len(value) >= 20 or str(secret) == "…"
        assert secret.reveal() == value

    def test_a_secret_is_no_str_and_does_not_serialise_or_change(self) -> None:
        secret = Secret("token-0123456789-0123456789")
        with pytest.raises(TypeError):
            json.dumps({"token": secret})
        with pytest.raises(TypeError):
            "".join([secret])  # type: ignore[list-item]
        with pytest.raises(AttributeError):
            secret._value = "other"
        with pytest.raises(TypeError):
            Secret(secret)  # type: ignore[arg-type]
        assert secret == copy.deepcopy(secret) == pickle.loads(pickle.dumps(secret))
        assert secret != "token-0123456789-0123456789"
        assert bool(secret)
        assert not Secret()


def test_settings_are_immutable_comparable_and_picklable() -> None:
    settings = Settings.load(environ=CLOUD)
    with pytest.raises(FrozenInstanceError):
        settings.prefix = "other"  # type: ignore[misc]
    settings.numbers["billing"] = "changed"
    assert settings.numbers["billing"] == "+15550002222"
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert hash(settings) == hash(Settings.load(environ=CLOUD))


def test_limits_are_whole_numbers_and_the_lab_keeps_a_persons_own(
    lab_environ: dict[str, str],
) -> None:
    settings = Settings.load(environ=CLOUD)
    assert settings.transfers_per_call == 5
    assert (settings.calls_per_hour, settings.transfers_per_hour) == (20, 60)
    own = {"VOBIZ_KIT_TRANSFERS_PER_CALL": "0", "VOBIZ_KIT_CALLS_PER_HOUR": " 7 "}
    settings = Settings.load(environ=lab_environ | own, transfers_per_hour="1000")
    assert settings.backend == "lab"
    assert settings.transfers_per_call == 0
    assert (settings.calls_per_hour, settings.transfers_per_hour) == (7, 1000)
    assert "VOBIZ_KIT_CALLS_PER_HOUR" in str(settings)


@pytest.mark.parametrize("value", ["-1", "many", "1.5", "99999", "\u0665"])
def test_limits_that_are_no_whole_numbers_are_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="not a whole number"):
        Settings.load(environ=CLOUD, calls_per_hour=value)


def test_names_carry_the_prefix() -> None:
    settings = Settings.load(environ=CLOUD | {"VOBIZ_KIT_PREFIX": "vobiz-amy"})
    assert settings.agent_name == "vobiz-amy-agent"
    assert settings.inbound_trunk_name == "vobiz-amy-inbound"
    assert settings.outbound_trunk_name == "vobiz-amy-outbound"
    assert settings.dispatch_rule_name == "vobiz-amy-rule"
    assert settings.inbound_room_prefix == "vobiz-amy-in-"
    assert settings.outbound_room_prefix == "vobiz-amy-out-"
    assert Settings.load(environ=CLOUD).agent_name == "vobiz-agent"


def test_prefix_on_a_hub() -> None:
    assert default_prefix({"JUPYTERHUB_USER": "amy"}) == "vobiz-amy"
    users = ["Amy", "amy@example.com", "amy-example.com", "AMY", "ämy", "a" * 60, "a" * 61, "@"]
    prefixes = {default_prefix({"JUPYTERHUB_USER": user}) for user in users}
    assert len(prefixes) == len(users)
    for prefix in prefixes:
        assert BY_NAME["VOBIZ_KIT_PREFIX"].check(prefix) == prefix
    loaded = Settings.load(environ=CLOUD | {"JUPYTERHUB_USER": "amy"})
    assert loaded.prefix == "vobiz-amy"


def test_env_example_documents_every_setting() -> None:
    lines = (Path(__file__).parents[2] / ".env.example").read_text().splitlines()
    set_there = {m[1]: m[2] for line in lines if (m := re.match(r"([A-Z0-9_]+)=(.*)", line))}
    aliases = {name for name in set_there if sources.is_alias(name)}
    assert set_there.keys() - aliases == BY_NAME.keys()
    assert aliases >= {"BILLING_NUMBER"}
    assert not any(set_there.values())


@given(st.dictionaries(st.sampled_from(list(CLOUD)), st.text(max_size=40), max_size=4))
def test_whatever_is_set_loads_or_is_refused_by_name(changes: dict[str, str]) -> None:
    with tempfile.NamedTemporaryFile(suffix=".env") as empty:
        try:
            settings = Settings.load(Path(empty.name), CLOUD | changes)
        except SettingsError as error:
            assert any(name in str(error) for name in changes)
        else:
            assert settings.backend == "cloud"
