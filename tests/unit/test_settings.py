"""What an operator may decide, as it is read from the environment and a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from test_coordination.settings import InvalidSettingsError, Settings


def read(**variables: str) -> Settings:
    return Settings.read({"HOME": "/home/ann", **variables}, user=1000)


def test_definitions_see_those_variables_that_are_allowed_and_set() -> None:
    settings = read(TCOORD_ALLOWED_ENV=" REGION, BUILD ,REGION,,_x9")

    assert settings.allowed_env == ("REGION", "BUILD", "_x9")
    assert settings.visible({"REGION": "north", "_x9": "", "TOKEN": "secret"}) == {
        "REGION": "north", "_x9": "",
    }  # fmt: skip


def test_nothing_is_allowed_unless_it_is_said() -> None:
    assert read().visible({"REGION": "north"}) == {}
    assert read(TCOORD_ALLOWED_ENV="").allowed_env == ()


@pytest.mark.parametrize("names", ["*", "REGION;BUILD", "A-B", "9A", "REGION BUILD"])
def test_what_is_no_name_of_a_variable_is_refused(names: str) -> None:
    with pytest.raises(InvalidSettingsError, match="which is no variable; expected names such"):
        read(TCOORD_ALLOWED_ENV=names)


def test_functions_of_those_packages_may_be_called_that_are_allowed() -> None:
    settings = read(TCOORD_ALLOWED_PYTHON=" shop_checks, acme.chaos ,shop_checks,*")

    assert settings.allowed_python == ("shop_checks", "acme.chaos", "*")
    assert read().allowed_python == ()


@pytest.mark.parametrize("names", ["shop-checks", "a..b", ".a", "a:b", "shop.*"])
def test_what_is_no_package_is_refused(names: str) -> None:
    with pytest.raises(InvalidSettingsError, match="which is no package; expected names such as"):
        read(TCOORD_ALLOWED_PYTHON=names)


def test_a_file_may_allow_variables_too_and_is_named_where_it_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "tcoord.toml"
    file.write_text('allowed_env = "REGION"\n')
    assert read(TCOORD_CONFIG=str(file)).allowed_env == ("REGION",)

    file.write_text('allowed_env = "RE GION"\n')
    with pytest.raises(InvalidSettingsError, match=r"tcoord\.toml: allowed_env names 'RE GION'"):
        read(TCOORD_CONFIG=str(file))


def test_directories_of_definitions_are_kept_in_their_order() -> None:
    settings = read(TCOORD_LIBRARY="/team/scenarios::shared/templates:")

    assert settings.library == (Path("/team/scenarios"), Path("shared/templates"))
    assert read().library == ()
