"""The fast meaning of filters is the plain one, on every entity and every filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haystack.filter.generated import IDS, question
from haystack.filter.judge import means
from holdall.haystack.filter import compiled, matches

if TYPE_CHECKING:
    from random import Random

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


def disagreements(random: Random) -> list[str]:
    graph, node = question(random)
    test = compiled(node, graph.get)
    return [one for one in IDS if test(graph[one]) is not means(node, graph[one], graph.get)]


@settings(max_examples=200, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_two_meanings_agree(random: Random) -> None:
    assert disagreements(random) == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=20_000, suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_two_meanings_agree_for_long(random: Random) -> None:
    assert disagreements(random) == []


@settings(suppress_health_check=QUIET)
@given(st.randoms(use_true_random=False))
def test_without_a_resolver_a_ref_leads_nowhere(random: Random) -> None:
    graph, node = question(random)
    for entity in graph.values():
        assert matches(node, entity) is means(node, entity, lambda _: None)
