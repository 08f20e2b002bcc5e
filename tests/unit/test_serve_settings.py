import math

import pytest

from vecpress.errors import ConfigError
from vecpress.serve.settings import Settings


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".hidden", "x" * 101, "naïve"])
def test_a_name_is_one_that_an_address_can_hold(name):
    with pytest.raises(ConfigError, match=r"choose one with --name"):
        Settings(name=name)


def test_names_of_other_services_models_are_names():
    assert Settings(name="text-embedding-3-small").name == "text-embedding-3-small"


@pytest.mark.parametrize("field", ["max_inputs", "max_batch", "max_queue", "max_body", "max_k"])
def test_a_limit_is_at_least_one(field):
    with pytest.raises(ConfigError, match=rf"^{field} must be at least 1, got 0$"):
        Settings(**{field: 0})


@pytest.mark.parametrize("field", ["timeout", "grace"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_a_time_is_a_number_of_seconds(field, value):
    with pytest.raises(ConfigError, match=rf"^{field} must be a number of seconds above 0, got"):
        Settings(**{field: value})


def test_an_idle_server_takes_the_largest_request():
    with pytest.raises(ConfigError, match=r"max_queue must be at least max_inputs, which is 10"):
        Settings(max_inputs=10, max_queue=9)


@pytest.mark.parametrize("key", ["", " a", "a ", "käse", "sec\nret"])
def test_a_key_is_what_a_header_can_carry(key):
    with pytest.raises(ConfigError, match=r"an API key must have") as raised:
        Settings(api_keys=("good", key))
    assert "sec" not in str(raised.value)


def test_keys_are_not_shown():
    assert "secret" not in repr(Settings(api_keys=("secret",)))
